// The old site: logs a user in, says whether somebody is logged in. `node site.mjs REDIS_URL SECRET`.
// `?remember` gives the login 30 days, `?number` keeps the user as a number.
import { RedisStore } from "connect-redis";
import express from "express";
import session from "express-session";
import { createClient } from "redis";

const [url, secret] = process.argv.slice(2);
const client = createClient({ url });
await client.connect();
const site = express();
site.use(session({ store: new RedisStore({ client }), secret, resave: false, saveUninitialized: false }));
site.post("/login/:user", (request, response, next) => {
  request.session.regenerate((error) => {
    if (error) return next(error);
    const { user } = request.params;
    request.session.user = "number" in request.query ? Number(user) : user;
    request.session.unread = 3;
    if ("remember" in request.query) request.session.cookie.maxAge = 30 * 24 * 60 * 60 * 1000;
    response.send("logged in");
  });
});
site.get("/account", (request, response) => response.send(String(request.session.user ?? "nobody")));
const server = site.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
