// A chat server of socket.io as its documentation advises: a room a person, the Redis adapter, WebSocket only, the first
// request dropped to save memory. STORE says what it does with a message before it tells of it: nothing, one `insert`,
// or a `transaction` that keeps what ours keeps: a sequence a conversation, one message a client id, an event.
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import jwt from "jsonwebtoken";
import { MongoClient } from "mongodb";
import { createClient } from "redis";
import { Server } from "socket.io";

const { PORT, REDIS_URL, PREFIX, SECRET, STORE, MONGO_URL, DATABASE } = process.env;

const publisher = createClient({ url: REDIS_URL });
const subscriber = publisher.duplicate();
await Promise.all([publisher.connect(), subscriber.connect()]);

const mongo = new MongoClient(MONGO_URL);
const database = mongo.db(DATABASE);
const [conversations, messages, events] = ["conversations", "messages", "events"].map((name) => database.collection(name));
if (STORE) await messages.createIndex({ conversationId: 1, senderId: 1, clientId: 1 }, { unique: true });

const server = createServer((request, response) => response.end("ok"));
const io = new Server(server, {
  adapter: createAdapter(publisher, subscriber, { key: PREFIX }),
  transports: ["websocket"],
  serveClient: false,
});
io.engine.on("connection", (socket) => {
  socket.request = null;
});
io.use((socket, next) => {
  try {
    socket.data.userId = jwt.verify(socket.handshake.auth.token, SECRET, { algorithms: ["HS256"], audience: "kelmah" }).sub;
    next();
  } catch (error) {
    next(error);
  }
});
io.on("connection", (socket) => {
  socket.join(socket.data.userId);
  socket.on("send", async (sent, answer) => {
    const message = await store(sent, socket.data.userId);
    answer(message);
    io.to(sent.people).emit("message", message);
  });
});

async function store({ conversationId, clientId, text, people }, senderId) {
  const message = { _id: randomUUID(), conversationId, sequence: 1, senderId, clientId, text, sentAt: new Date() };
  if (STORE === "insert") await messages.insertOne(message);
  if (STORE !== "transaction") return message;
  const known = await conversations.findOne({ _id: conversationId, people: senderId });
  if (!known) throw new Error("not yours");
  const before = await messages.findOne({ conversationId, senderId, clientId });
  if (before) return before;
  await mongo.withSession((session) =>
    session.withTransaction(async () => {
      const counted = await conversations.findOneAndUpdate(
        { _id: conversationId, people: senderId },
        { $inc: { lastSequence: 1 } },
        { returnDocument: "after", session },
      );
      message.sequence = counted.lastSequence;
      await messages.insertOne(message, { session });
      await events.insertOne({ type: "message_sent", messageId: message._id, pending: true }, { session });
    }),
  );
  return message;
}

if (STORE === "transaction") {
  for (const { conversationId, people } of JSON.parse(process.env.CONVERSATIONS)) {
    await conversations.insertOne({ _id: conversationId, people, lastSequence: 0 });
  }
}
server.listen(Number(PORT), "127.0.0.1");
