// Sequelize and pg-boss: node sequelize_pgboss.mjs, with the server in PG* variables.
//
// pg-boss keeps jobs in the database: its schema, its statements. The models are those of
// Sequelize's documentation on associations: teams, players, and the games that they play.
import { PgBoss } from "pg-boss";
import { DataTypes, Op, Sequelize } from "sequelize";

const { PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE } = process.env;
const common = { host: PGHOST, port: Number(PGPORT), database: PGDATABASE, password: PGPASSWORD };
const sequelize = new Sequelize({ ...common, dialect: "postgres", username: PGUSER, logging: false });

const Team = sequelize.define("Team", { name: DataTypes.STRING, about: DataTypes.TEXT });
const Player = sequelize.define("Player", { username: DataTypes.STRING, points: DataTypes.INTEGER });
const Game = sequelize.define("Game", { name: DataTypes.STRING, playedAt: DataTypes.DATE });
Team.hasMany(Player);
Player.belongsTo(Team);
Game.belongsToMany(Team, { through: "GameTeam" });
Team.belongsToMany(Game, { through: "GameTeam" });

const any = (count) => 1 + Math.floor(Math.random() * count);
const numbers = (count) => [...Array(count).keys()];

async function load() {
  await sequelize.sync();
  await Team.bulkCreate(numbers(2000).map((n) => ({ name: `team ${n}`, about: "x".repeat(1000) })));
  await Player.bulkCreate(
    numbers(5000).map((n) => ({ username: `player ${n}`, points: n % 100, TeamId: any(2000) })),
  );
  await Game.bulkCreate(numbers(1000).map((n) => ({ name: `game ${n}`, playedAt: new Date() })));
  for (const game of await Game.findAll({ limit: 300 })) {
    const home = any(2000);
    await game.addTeams([home, 1 + (home % 2000)]);
  }
}

async function work(boss) {
  const team = await Team.findByPk(any(2000), { include: Player });
  await Team.findAndCountAll({ where: { name: { [Op.like]: `team ${any(20)}%` } }, limit: 20 });
  await Team.findAll({ limit: 10, include: { model: Player, separate: true } });
  await Player.findAll({ where: { points: { [Op.gt]: 95 } }, order: [["points", "DESC"]], limit: 10 });
  await Game.findAll({ limit: 5, include: Team });
  await Player.create({ username: `new ${any(1e9)}`, points: 0, TeamId: team.id });
  await Player.increment({ points: 1 }, { where: { TeamId: team.id } });
  await Player.findAll({
    attributes: ["TeamId", [sequelize.fn("SUM", sequelize.col("points")), "total"]],
    group: ["TeamId"],
    order: [[sequelize.literal("total"), "DESC"]],
    limit: 10,
  });
  await sequelize.transaction(async (transaction) => {
    const player = await Player.findOne({ where: { TeamId: team.id }, transaction, lock: true });
    if (player) await player.destroy({ transaction });
  });
  await boss.send("mail", { team: team.id });
  const jobs = await boss.fetch("mail");
  if (jobs.length) await boss.complete("mail", jobs.map((job) => job.id));
}

const boss = new PgBoss({ ...common, user: PGUSER });
await boss.start();
await boss.createQueue("mail");
await load();
for (let n = 0; n < 100; n++) await work(boss);
await boss.stop({ graceful: false });
await sequelize.close();
process.exit(0);
