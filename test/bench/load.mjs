// An old application that knows nothing of sessions: 50 inserts, 25 updates and 25 selects a second, open
// loop, each timed from the moment it was due, so that a stall counts for everything that had to wait behind
// it. Runs as its own process: load.mjs <url>. A line on standard input names the phase that begins with it;
// when the input ends, {errors, phases: {name: [[kind, milliseconds, when it was due, as a Unix time in ms],
// ...]}} is printed as JSON.
import { createInterface } from 'node:readline'
import postgres from 'postgres'

const sql = postgres(process.argv[2], {
  max: 16,
  onnotice: () => {},
  idle_timeout: 0,
  max_lifetime: null,
  connection: { application_name: 'old application' },
})
const ids = (await sql`select id from chats tablesample system (5) limit 5000`).map(r => r.id)
const rooms = (await sql`select id, owner_id from workspaces where owner_id is not null limit 500`).map(r => [
  r.id,
  r.owner_id,
])
await Promise.all(Array.from({ length: 16 }, () => sql`select pg_sleep(0.05)`))
const pick = list => list[Math.floor(Math.random() * list.length)]
const say = role => {
  const [room, person] = pick(rooms)
  return sql`insert into chats (workspace_id, user_id, role, message) values (${room}, ${person}, ${role}, 'from the old application')`
}
const kinds = [
  ['insert', () => say('user')],
  ['insert', () => say('assistant')],
  ['update', () => sql`update chats set message = message || '.' where id = ${pick(ids)}`],
  ['select', () => sql`select role, message from chats where id = ${pick(ids)}`],
]

const phases = {}
let phase = []
let errors = 0
let ended = false
createInterface({ input: process.stdin })
  .on('line', name => {
    phase = phases[name] ??= []
  })
  .on('close', () => {
    ended = true
  })
const begin = performance.now()
const every = 10
const flying = new Set()
for (let n = 0; !ended; n++) {
  const due = begin + n * every
  const wait = due - performance.now()
  if (wait > 0) await new Promise(done => setTimeout(done, wait))
  // a timer that comes early has sent it early; one of our own that is very late is not the database's
  const now = performance.now()
  const sent = Math.max(Math.min(due, now), now - every)
  const [kind, send] = kinds[n % kinds.length]
  const times = phase
  const one = send()
    .then(
      () => times.push([kind, performance.now() - sent, performance.timeOrigin + sent]),
      () => errors++,
    )
    .finally(() => flying.delete(one))
  flying.add(one)
}
await Promise.all(flying)
console.log(JSON.stringify({ errors, phases }))
await sql.end()
