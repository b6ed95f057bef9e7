// The gateway that a team would write with Express: token check, rate limit, log, proxy. PORT, UPSTREAM and SECRET are
// set by the bench. Limits live in this process's memory; there is no breaker.
import http from "node:http";
import express from "express";
import { rateLimit } from "express-rate-limit";
import { createProxyMiddleware } from "http-proxy-middleware";
import jwt from "jsonwebtoken";
import { pinoHttp } from "pino-http";

const { PORT, UPSTREAM, SECRET } = process.env;
const app = express();
app.disable("x-powered-by");
app.get("/livez", (request, response) => response.json({ status: "ok" }));
app.use(pinoHttp());
app.use((request, response, next) => {
  try {
    const token = (request.headers.authorization ?? "").replace(/^Bearer /, "");
    request.user = jwt.verify(token, SECRET, { algorithms: ["HS256"], audience: "kelmah" });
  } catch {
    return response.status(401).json({ title: "The access token is not valid" });
  }
  next();
});
app.use(
  rateLimit({
    windowMs: 60_000,
    limit: 1_000_000,
    standardHeaders: "draft-8",
    legacyHeaders: false,
    keyGenerator: (request) => request.user.sub,
  }),
);
app.use(
  createProxyMiddleware({
    target: UPSTREAM,
    agent: new http.Agent({ keepAlive: true, maxSockets: 256 }),
    proxyTimeout: 10_000,
    xfwd: true,
  }),
);
app.listen(Number(PORT), "127.0.0.1");
