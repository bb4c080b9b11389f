// An old application that knows nothing of sessions: 50 inserts, 25 updates and 25 selects a second, open loop, each
// timed from the moment it was due, so that a stall counts for everything that had to wait behind it.
// Runs as its own process: load.mjs <url> <seconds, 0 until told> ; prints {p50, p99, max, errors, count} as JSON at SIGTERM.
import postgres from 'postgres'

const [url, seconds] = process.argv.slice(2)
const sql = postgres(url, {
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
const kinds = [
  () =>
    sql`insert into chats (workspace_id, user_id, role, message) values (${pick(rooms)[0]}, ${pick(rooms)[1]}, 'user', 'from the old application')`,
  () =>
    sql`insert into chats (workspace_id, user_id, role, message) values (${pick(rooms)[0]}, ${pick(rooms)[1]}, 'assistant', 'from the old application')`,
  () => sql`update chats set message = message || '.' where id = ${pick(ids)}`,
  () => sql`select role, message from chats where id = ${pick(ids)}`,
]
const times = []
const byKind = [[], [], [], []]
let errors = 0
let n = 0
const begin = performance.now()
const every = 10
let stopping = false
process.on('SIGTERM', () => {
  stopping = true
})
if (Number(seconds))
  setTimeout(() => {
    stopping = true
  }, Number(seconds) * 1000)
const flying = new Set()
while (!stopping) {
  const due = begin + n * every
  const wait = due - performance.now()
  if (wait > 0) await new Promise(done => setTimeout(done, wait))
  // a late timer of our own is not the database's: measured from when it was sent, or due, whichever is later by the queue
  const sent = Math.max(due, performance.now() - every)
  const kind = n++ % 4
  const one = kinds[kind]()
    .then(
      () => {
        const ms = performance.now() - sent
        times.push(ms)
        byKind[kind].push(ms)
        if (process.env.BENCH_SLOW && ms > Number(process.env.BENCH_SLOW))
          console.error(
            new Date().toISOString(),
            ['insert', 'insert', 'update', 'select'][kind],
            Math.round(ms),
          )
      },
      () => {
        errors++
      },
    )
    .finally(() => flying.delete(one))
  flying.add(one)
}
await Promise.all(flying)
const at = (list, q) =>
  Number((list.sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * q))] ?? 0).toFixed(1))
const p99 = Object.fromEntries(
  [
    ['insert', [...byKind[0], ...byKind[1]]],
    ['update', byKind[2]],
    ['select', byKind[3]],
  ].map(([kind, list]) => [kind, at(list, 0.99)]),
)
console.log(
  JSON.stringify({
    p50: at(times, 0.5),
    p99: at(times, 0.99),
    max: at(times, 1),
    errors,
    count: times.length,
    ...p99,
  }),
)
await sql.end()
