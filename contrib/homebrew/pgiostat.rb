# A formula for a tap of one's own (brew install OWNER/TAP/pgiostat). Not tested on macOS. A release
# fills in sha256, which its notes name; packages are those of requirements/fleet.txt, by their hashes.
class Pgiostat < Formula
  desc "Find the queries that cause disk reads on a PostgreSQL server"
  homepage "https://pgiostat.github.io/pgiostat/"
  url "https://github.com/pgiostat/pgiostat/releases/download/v0.2.0/pgiostat-0.2.0.tar.gz"
  sha256 "0000000000000000000000000000000000000000000000000000000000000000"
  license "PostgreSQL"

  depends_on "python@3.13"

  def install
    python = Formula["python@3.13"].opt_libexec/"bin/python"
    system python, "-m", "venv", libexec
    pip = [libexec/"bin/python", "-m", "pip", "install", "--quiet"]
    system(*pip, "--require-hashes", "-r", "requirements/fleet.txt", "-r", "requirements/build.txt")
    system(*pip, "--no-deps", "--no-build-isolation", ".")
    bin.install_symlink libexec/"bin/pgiostat"
    man1.install_symlink Dir[libexec/"share/man/man1/*.1"]
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/pgiostat --version")
  end
end
