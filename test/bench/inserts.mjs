// What the triggers cost one inserted message while both applications run: the same statement on a database
// without them and on a migrated one, in turns, on one connection each. BENCH_PAIRS (3000), BENCH_MESSAGES.
import postgres from 'postgres'
import { fillExample } from './example.mjs'
import { reached } from './markdown.mjs'

const pairs = Number(process.env.BENCH_PAIRS ?? 3000)
const messages = Number(process.env.BENCH_MESSAGES ?? 200_000)
/** Most that the 99th percentile may be, in times of that without triggers. */
const goal = 1.2
const at = (list, q) => [...list].sort((a, b) => a - b)[Math.floor(list.length * q)]

export default async function inserts({ rethread, server, root, table }) {
  const db = await server()
  const admin = postgres(db.url, { max: 1, onnotice: () => {} })
  const opened = []
  const times = { 'without triggers': [], 'old application': [], 'new application': [] }
  try {
    const made = async (name, isMigrated) => {
      await admin.unsafe(`create database ${name}`)
      const url = new URL(db.url)
      url.pathname = `/${name}`
      const sql = postgres(url.href, { max: 1, onnotice: () => {} })
      opened.push(sql)
      await fillExample(sql, root, { messages })
      if (isMigrated) await rethread(url.href, ['migrate'])
      await sql.unsafe('vacuum (analyze)')
      await sql.unsafe('set synchronous_commit = on')
      return sql
    }
    const plain = await made('plain', false)
    const overlap = await made('overlap', true)
    const rooms =
      await plain`select id, owner_id as person from workspaces where owner_id is not null order by id`
    const sessions =
      await overlap`select id, workspace_id as room, user_id as person from chat_sessions order by id`
    const timed = async (who, send, counts) => {
      const start = performance.now()
      await send()
      if (counts) times[who].push(performance.now() - start)
    }
    const old = (sql, { id, person }) =>
      sql`insert into chats (workspace_id, user_id, role, message) values (${id}, ${person}, 'user', 'from an application')`
    for (let n = 0; n < pairs + 100; n++) {
      const room = rooms[n % rooms.length]
      const { id, room: of, person } = sessions[n % sessions.length]
      const turns = [
        () => timed('without triggers', () => old(plain, room), n >= 100),
        () => timed('old application', () => old(overlap, room), n >= 100),
        () =>
          timed(
            'new application',
            () => overlap`
              insert into chats (workspace_id, user_id, role, message, session_id)
              values (${of}, ${person}, 'user', 'from an application', ${id})`,
            n >= 100,
          ),
      ]
      for (let k = 0; k < turns.length; k++) await turns[(n + k) % turns.length]()
    }
  } finally {
    for (const sql of [...opened, admin]) await sql.end({ timeout: 1 })
    await db.stop()
  }
  const base = times['without triggers']
  const rows = Object.entries(times).map(([who, list]) => {
    const ratio = at(list, 0.99) / at(base, 0.99)
    const isBase = list === base
    return {
      'who inserts a message': who,
      'median, ms': at(list, 0.5).toFixed(2),
      '99th percentile, ms': at(list, 0.99).toFixed(2),
      'ratio of the medians': (at(list, 0.5) / at(base, 0.5)).toFixed(2),
      'ratio of the 99th percentiles': ratio.toFixed(2),
      goal: isBase ? '' : goal,
      reached: isBase ? '' : reached(ratio, goal),
    }
  })
  table(rows)
  return rows
}
