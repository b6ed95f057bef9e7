// The same with Fastify: @fastify/http-proxy on undici, verified tokens cached as ours are. Limits live in memory.
import proxy from "@fastify/http-proxy";
import jwt from "@fastify/jwt";
import rateLimit from "@fastify/rate-limit";
import Fastify from "fastify";

const { PORT, UPSTREAM, SECRET } = process.env;
const app = Fastify({ logger: true });
await app.register(jwt, {
  secret: SECRET,
  verify: { algorithms: ["HS256"], allowedAud: "kelmah", cache: true },
});
await app.register(rateLimit, { global: false });
app.get("/livez", async () => ({ status: "ok" }));
const limited = app.rateLimit({
  max: 1_000_000,
  timeWindow: 60_000,
  keyGenerator: (request) => request.user.sub,
});
await app.register(proxy, {
  upstream: UPSTREAM,
  prefix: "/api",
  rewritePrefix: "/api",
  undici: { connections: 256, pipelining: 1 },
  preHandler: [async (request) => request.jwtVerify(), limited],
});
await app.listen({ port: Number(PORT), host: "127.0.0.1" });
