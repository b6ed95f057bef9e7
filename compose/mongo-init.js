// Makes the replica set and one user a service, who may use the service's own database only. Safe to run again.
// Runs in mongosh. MEMBERS names the set's members; names and passwords are read from the services' own URLs.
const fs = require("fs");

const members = process.env.MEMBERS.split(",").map((host, index) => ({ _id: index, host }));
const rootPassword = process.env.ROOT_PASSWORD_FILE
  ? fs.readFileSync(process.env.ROOT_PASSWORD_FILE, "utf8").trim()
  : null;

function connect_(options) {
  const credentials = rootPassword ? `root:${encodeURIComponent(rootPassword)}@` : "";
  return new Mongo(`mongodb://${credentials}${options}`);
}

const first = connect_(`${members[0].host}/?directConnection=true`).getDB("admin");
try {
  first.adminCommand({ replSetGetStatus: 1 });
} catch (error) {
  if (error.codeName !== "NotYetInitialized") throw error;
  first.adminCommand({ replSetInitiate: { _id: "rs0", members } });
}

// Selecting a server waits for the election.
const hosts = members.map((member) => member.host).join(",");
const admin = connect_(`${hosts}/?replicaSet=rs0&serverSelectionTimeoutMS=60000`).getDB("admin");
for (const name of (process.env.SERVICES || "").split(",").filter(Boolean)) {
  const url = fs.readFileSync(`/run/secrets/${name}_mongo_url`, "utf8").trim();
  const [, user, password] = url.match(/^mongodb:\/\/([^:]+):([^@]+)@/);
  const database = admin.getSiblingDB(`kelmah_${name}`);
  const roles = [{ role: "readWrite", db: `kelmah_${name}` }];
  const pwd = decodeURIComponent(password);
  if (database.getUser(user)) database.updateUser(user, { pwd, roles });
  else database.createUser({ user, pwd, roles });
}
print("replica set and users are ready");
