# mypy: ignore-errors
"""Django with its admin and other applications of its own: python django_admin.py DSN.

Everything is Django's: the applications, their migrations, tables and pages. The traffic is that of
an editor: log in, search, page, open, change, add, delete; and that of visitors of flat pages.
"""

import random
import sys

import django
from django.conf import settings
from psycopg.conninfo import conninfo_to_dict

given = conninfo_to_dict(sys.argv[1])
settings.configure(
    SECRET_KEY="benchmark",
    ALLOWED_HOSTS=["testserver"],
    ROOT_URLCONF="urls",
    SITE_ID=1,
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    INSTALLED_APPS=[
        f"django.contrib.{name}"
        for name in (
            "admin",
            "auth",
            "contenttypes",
            "sessions",
            "messages",
            "sites",
            "flatpages",
            "redirects",
        )
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.contrib.flatpages.middleware.FlatpageFallbackMiddleware",
        "django.contrib.redirects.middleware.RedirectFallbackMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "loaders": [
                    (
                        "django.template.loaders.locmem.Loader",
                        {"flatpages/default.html": "{{ flatpage.content }}", "404.html": "none"},
                    ),
                    "django.template.loaders.app_directories.Loader",
                ],
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ],
            },
        }
    ],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": given["dbname"],
            "USER": given["user"],
            "HOST": given["host"],
            "PORT": given["port"],
            "OPTIONS": {"passfile": given["passfile"]},
        }
    },
)
settings.TEMPLATES[0].pop("APP_DIRS")
django.setup()

import types

from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.contrib.flatpages.models import FlatPage
from django.contrib.redirects.models import Redirect
from django.contrib.sites.models import Site
from django.core.management import call_command
from django.test import Client
from django.urls import path

urls = types.ModuleType("urls")
urls.urlpatterns = [path("admin/", admin.site.urls)]
sys.modules["urls"] = urls

USERS, PAGES, ROUNDS = 5_000, 1_000, 50


def load() -> None:
    """Migrate, and make the data."""
    call_command("migrate", verbosity=0)
    User.objects.create_superuser("editor", "editor@example.com", "editor")
    User.objects.bulk_create(
        [
            User(
                username=f"user{n}", email=f"user{n}@example.com", password="!", first_name="x" * 90
            )
            for n in range(USERS)
        ],
        batch_size=1000,
    )
    groups = [Group.objects.create(name=f"group {n}") for n in range(50)]
    for user in User.objects.all()[:500]:
        user.groups.add(random.choice(groups))
    site = Site.objects.get(pk=1)
    pages = FlatPage.objects.bulk_create(
        [FlatPage(url=f"/page/{n}/", title=f"Page {n}", content="x" * 2000) for n in range(PAGES)]
    )
    FlatPage.sites.through.objects.bulk_create(
        [FlatPage.sites.through(flatpage=page, site=site) for page in pages]
    )
    Redirect.objects.bulk_create(
        [Redirect(site=site, old_path=f"/old/{n}/", new_path=f"/page/{n}/") for n in range(PAGES)]
    )


def work(client: Client) -> None:
    """Do what an editor and visitors do, once."""
    user = User.objects.order_by("pk")[random.randrange(USERS)].pk
    for url in (
        "/admin/",
        "/admin/auth/user/",
        f"/admin/auth/user/?p={random.randrange(1, 100)}",
        f"/admin/auth/user/?q=user{random.randrange(USERS)}",
        "/admin/auth/user/?is_staff__exact=1",
        f"/admin/auth/user/{user}/change/",
        f"/admin/auth/user/{user}/history/",
        "/admin/flatpages/flatpage/?q=Page",
        "/admin/redirects/redirect/",
        f"/page/{random.randrange(PAGES)}/",
        f"/old/{random.randrange(PAGES)}/",
    ):
        assert client.get(url).status_code in {200, 301, 302}, url
    name = f"group {random.random()}"
    client.post("/admin/auth/group/add/", {"name": name, "permissions": [1, 2, 3]})
    group = Group.objects.get(name=name)
    client.post(f"/admin/auth/group/{group.pk}/change/", {"name": f"{name}!", "permissions": [4]})
    client.post(f"/admin/auth/group/{group.pk}/delete/", {"post": "yes"})


def main() -> None:
    """Load the data and send the traffic."""
    load()
    for _ in range(ROUNDS // 10):
        client = Client()
        assert client.login(username="editor", password="editor")
        for _ in range(10):
            work(client)
        client.logout()
    call_command("clearsessions")


main()
