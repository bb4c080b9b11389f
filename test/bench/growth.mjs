// How the whole cycle (migrate, verify, rollback, restore) grows with messages, workspaces, columns, tables
// and applied migrations: seconds, memory of the command line, WAL and the number of statements sent, each
// on a database of its own. Writes docs/growth.svg. BENCH_GROWTH names some of the dimensions, separated by
// commas, BENCH_LEAST and BENCH_MOST the fewest and the most messages.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { chart } from './chart.mjs'
import { fillExample } from './example.mjs'

const least = Number(process.env.BENCH_LEAST ?? 0)
const most = Number(process.env.BENCH_MOST ?? 2_000_000)
const usual = { messages: 20_000, workspaces: 100, columns: 0, tables: 0, migrations: 0 }
const dimensions = {
  messages: [20_000, 200_000, 2_000_000, 20_000_000].filter(n => n >= least && n <= most),
  workspaces: [10, 1000, 200_000],
  columns: [1, 400],
  tables: [1, 100, 2000],
  migrations: [1, 1000],
}
const wanted = (process.env.BENCH_GROWTH ?? Object.keys(dimensions).join(',')).split(',')

/** A folder with so many one-statement migrations of a track of its own. */
function project(migrations) {
  const dir = mkdtempSync(join(tmpdir(), 'rethread-growth-'))
  for (const kind of ['migrations', 'rollbacks', 'verify'])
    mkdirSync(join(dir, kind, 'many'), { recursive: true })
  for (let n = 1; n <= migrations; n++) {
    const name = `${String(n).padStart(5, '0')}_table_${n}.sql`
    writeFileSync(join(dir, 'migrations/many', name), `create table public.t${n} (id bigint primary key);\n`)
    writeFileSync(join(dir, 'rollbacks/many', name), `drop table public.t${n};\n`)
  }
  writeFileSync(join(dir, 'verify/many/none.sql'), "select 'x' as object, 'y' as detail where false\n")
  return dir
}

export default async function growth({ rethread, server, root, table }) {
  const db = await server({
    shared_preload_libraries: 'pg_stat_statements',
    'pg_stat_statements.max': '50000',
    max_locks_per_transaction: '256',
  })
  const admin = postgres(db.url, { max: 1, onnotice: () => {} })
  const rows = []
  let databases = 0
  try {
    await admin.unsafe('create extension pg_stat_statements')
    const onDatabase = async work => {
      const name = `growth_${++databases}`
      await admin.unsafe(`create database ${name}`)
      const url = new URL(db.url)
      url.pathname = `/${name}`
      const sql = postgres(url.href, { max: 1, onnotice: () => {} })
      try {
        await work(url.href, sql, name)
      } finally {
        await sql.end()
        await admin.unsafe(`drop database ${name} with (force)`)
      }
    }
    const measured = async (url, name, args) => {
      await admin.unsafe('checkpoint')
      const facts = async () =>
        (
          await admin`
            select pg_current_wal_insert_lsn() - '0/0'::pg_lsn as wal, (
              select coalesce(sum(s.calls), 0)::float8 from pg_stat_statements s join pg_database d on d.oid = s.dbid where d.datname = ${name}) as calls`
        )[0]
      const before = await facts()
      const { seconds, memory } = await rethread(url, args, {}, 2)
      const after = await facts()
      return {
        seconds: Number(seconds.toFixed(2)),
        'memory, MB': Math.round(memory),
        'WAL, MB': Number(((after.wal - before.wal) / 2 ** 20).toFixed(1)),
        statements: after.calls - before.calls,
      }
    }
    for (const dimension of wanted)
      for (const n of dimensions[dimension])
        await onDatabase(async (url, sql, name) => {
          const at = { ...usual, [dimension]: n }
          if (dimension === 'workspaces') at.messages = 200_000
          const note = (what, found) => rows.push({ dimension, n, what, ...found })
          if (dimension === 'migrations') {
            const dir = project(n)
            note('migrate', await measured(url, name, ['migrate', '--dir', dir]))
            note('nothing to do', await measured(url, name, ['migrate', '--dir', dir]))
            rmSync(dir, { recursive: true })
            return
          }
          await fillExample(sql, root, at)
          const columns = Array.from({ length: at.columns }, (_, i) => `add column more_${i} text`)
          if (at.columns > 0) await sql.unsafe(`alter table public.chats ${columns.join(', ')}`)
          for (let i = 0; i < at.tables; i++)
            await sql.unsafe(`create table public.other_${i} (id bigint primary key, name text)`)
          const consent = 'DELETES_DATA,IGNORES_RECENT_WRITES'
          note('migrate', await measured(url, name, ['migrate']))
          note('nothing to do', await measured(url, name, ['migrate']))
          note('verify', await measured(url, name, ['verify']))
          note(
            'rollback',
            await measured(url, name, ['rollback', '--all', '--allow', consent, '--confirm', name]),
          )
          note('restore', await measured(url, name, ['restore', 'latest']))
        })
  } finally {
    await admin.end({ timeout: 1 })
    await db.stop()
  }
  writeFileSync(
    join(root, 'docs/growth.svg'),
    chart(rows, ['seconds', 'memory, MB', 'WAL, MB', 'statements']),
  )
  table(rows)
  return rows
}
