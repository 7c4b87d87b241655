// The measured site over express-session with connect-redis: `node app.mjs serve redis URL`
import { RedisStore } from 'connect-redis'
import express from 'express'
import session from 'express-session'
import { createClient } from 'redis'

const client = createClient({ url: process.argv[4] })
await client.connect()
const store = new RedisStore({ client })
const app = express().disable('x-powered-by').disable('etag')
app.use(session({ secret: '7'.repeat(32), resave: false, saveUninitialized: false, store }))

const answer = (response, text) => response.type('text').send(String(text))
app.get('/ping', (_, response) => answer(response, 'pong'))
app.get('/read', (request, response) => answer(response, (request.session.k0 ?? '').length))
app.get('/count', (request, response) => answer(response, request.session.n ?? 0))
app.post('/inc', (request, response) => {
  request.session.n = (request.session.n ?? 0) + 1
  answer(response, request.session.n)
})
app.post('/fill/:bytes/:keys', (request, response) => {
  for (let key = 0; key < Number(request.params.keys); key++) {
    request.session[`k${key}`] = 'x'.repeat(Number(request.params.bytes))
  }
  request.session.n = 0
  answer(response, 'ok')
})
app.post('/login/:user', (request, response, next) => {
  request.session.regenerate((error) => {
    if (error) return next(error)
    Object.assign(request.session, { user: request.params.user, k0: 'x'.repeat(200), n: 0 })
    answer(response, 'ok')
  })
})
const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port))
