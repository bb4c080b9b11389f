// Applying many one-statement migrations, and finding that there is nothing to apply: rethread beside
// a bare loop of postgres.js with a checksum ledger, and beside dbmate, node-pg-migrate and psql
// where they are installed.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { reached } from './markdown.mjs'

/** Rounds for each number of files. The contenders take turns in every round, and a ratio is of one round. */
const rounds = process.env.ROUNDS ? JSON.parse(process.env.ROUNDS) : { 200: 7, 1000: 5 }
const noopRounds = 15
const goals = { apply: 1.25, noop: 1.3, memoryMb: 90 }

/** The same migrations in the layout of each contender, and its ledger empty. */
function project(files) {
  const dir = mkdtempSync(join(tmpdir(), 'rethread-apply-'))
  const put = (path, text) => {
    mkdirSync(join(dir, path, '..'), { recursive: true })
    writeFileSync(join(dir, path), text)
  }
  for (let n = 1; n <= files; n++) {
    const name = `${String(n).padStart(4, '0')}_table_${n}.sql`
    const up = `create table public.t${n} (id bigint primary key, parent bigint, name text not null);\n`
    const down = `drop table public.t${n};\n`
    put(`ours/migrations/many/${name}`, up)
    put(`ours/rollbacks/many/${name}`, down)
    put(`plain/${name}`, up)
    put(`dbmate/${name}`, `-- migrate:up\n${up}\n-- migrate:down\n${down}`)
    put(`pgm/${name}`, `-- Up Migration\n${up}\n-- Down Migration\n${down}`)
  }
  put('ours/verify/many/none.sql', "select 'x' as object, 'y' as detail where false\n")
  return dir
}

/** One transaction a file, a ledger with checksums: the least that applies files and remembers them. */
const bareLoop = `
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
const sql = postgres(process.env.DATABASE_URL, { max: 1, onnotice: () => {} })
const dir = process.argv[2]
await sql\`create table if not exists public.ledger (name text primary key, checksum text not null, at timestamptz not null default now())\`
const done = new Map((await sql\`select name, checksum from public.ledger\`).map(r => [r.name, r.checksum]))
for (const name of readdirSync(dir).sort()) {
  const text = readFileSync(join(dir, name), 'utf8')
  const checksum = createHash('sha256').update(text).digest('hex')
  if (done.has(name)) {
    if (done.get(name) !== checksum) throw new Error('changed: ' + name)
    continue
  }
  await sql.begin(async tx => {
    await tx.unsafe(text)
    await tx\`insert into public.ledger (name, checksum) values (\${name}, \${checksum})\`
  })
}
await sql.end()
`

/** Writes the most memory that a Node process has held to a file when it ends. */
const memoryProbe = `
import { writeFileSync } from 'node:fs'
process.on('exit', () => writeFileSync(process.env.MEMORY_FILE, String(process.resourceUsage().maxRSS / 1024)))
`

/** The contenders: name -> the command that applies a project's files. */
function contenders(root, out) {
  const bare = join(out, 'bare.mjs')
  writeFileSync(bare, bareLoop)
  const bin = name => join(root, 'node_modules/.bin', name)
  const found = {
    'bare loop': dir => [process.execPath, [bare, join(dir, 'plain')]],
    rethread: dir => [
      process.execPath,
      [join(root, 'dist/cli/main.js'), 'migrate', '--quiet', '--dir', join(dir, 'ours')],
    ],
  }
  if (existsSync(bin('dbmate')))
    found.dbmate = (dir, url) => [
      bin('dbmate'),
      [
        '--url',
        `${url}?sslmode=disable`,
        '--migrations-dir',
        join(dir, 'dbmate'),
        '--no-dump-schema',
        'migrate',
      ],
    ]
  if (existsSync(bin('node-pg-migrate')))
    found['node-pg-migrate'] = dir => [
      bin('node-pg-migrate'),
      // one transaction a file, as everybody else here
      ['up', '--migrations-dir', join(dir, 'pgm'), '--no-single-transaction', '--no-verbose'],
    ]
  if (spawnSync('psql', ['--version']).status === 0)
    found.psql = (dir, url, files) => [
      'psql',
      [
        '--quiet',
        '--no-psqlrc',
        '--set=ON_ERROR_STOP=1',
        url,
        ...files.flatMap(f => ['-f', join(dir, 'plain', f)]),
      ],
    ]
  return found
}

export default async function apply({ server, median, root, table }) {
  const out = join(root, '.rethread/bench')
  const memoryFile = join(out, 'memory')
  const probe = join(out, 'memory.mjs')
  writeFileSync(probe, memoryProbe)
  const runs = contenders(root, out)
  const { url, stop } = await server()
  const admin = postgres(url, { max: 1, onnotice: () => {} })
  let databases = 0

  /** A new database, and nothing of the one before still on its way to the disk. */
  const fresh = async () => {
    const name = `apply_${++databases}`
    await admin.unsafe(`create database ${name}`)
    await admin.unsafe('checkpoint')
    const at = new URL(url)
    at.pathname = `/${name}`
    return { url: at.href, drop: () => admin.unsafe(`drop database ${name} with (force)`) }
  }

  /** Runs one contender to its end: seconds, and the most memory in MB where it is a Node process. */
  const run = (name, dir, files, at) => {
    const [command, args] = runs[name](dir, at, files)
    rmSync(memoryFile, { force: true })
    const node = command === process.execPath
    const start = performance.now()
    const ran = spawnSync(command, node ? ['--import', probe, ...args] : args, {
      env: { ...process.env, DATABASE_URL: at, MEMORY_FILE: memoryFile },
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
    })
    const seconds = (performance.now() - start) / 1000
    if (ran.status !== 0)
      throw new Error(`${name}: exit ${ran.status}\n${ran.stdout.slice(-2000)}\n${ran.stderr.slice(-2000)}`)
    return { seconds, memory: node ? Number(readFileSync(memoryFile, 'utf8')) : null }
  }

  /** Rounds in which everybody takes a turn, each time in another order; by name, what each turn took. */
  const takeTurns = async (times, turn) => {
    const names = Object.keys(runs)
    const taken = Object.fromEntries(names.map(n => [n, []]))
    for (let round = 0; round < times; round++)
      for (let i = 0; i < names.length; i++) {
        const name = names[(i + round) % names.length]
        taken[name].push(await turn(name))
      }
    return taken
  }

  const result = {}
  const rows = []
  const tell = (what, taken, goal) => {
    for (const [name, all] of Object.entries(taken)) {
      const ratio = median(all.map((t, i) => t.seconds / taken['bare loop'][i].seconds))
      const memory = all[0].memory === null ? null : Math.round(Math.max(...all.map(t => t.memory)))
      const ours = name === 'rethread'
      rows.push({
        what,
        who: name,
        seconds: median(all.map(t => t.seconds)).toFixed(2),
        ratio: ratio.toFixed(2),
        goal: ours ? goal : '',
        reached: ours ? reached(ratio, goal) : '',
        'memory, MB': memory,
        'goal, MB': ours ? goals.memoryMb : '',
        'reached, MB': ours ? reached(memory, goals.memoryMb) : '',
      })
      result[`${what}, ${name}`] = { seconds: median(all.map(t => t.seconds)), ratio, memory }
    }
  }
  const filesOf = n =>
    Array.from({ length: n }, (_, i) => `${String(i + 1).padStart(4, '0')}_table_${i + 1}.sql`)
  try {
    for (const [n, times] of Object.entries(rounds)) {
      const dir = project(Number(n))
      const files = filesOf(Number(n))
      const taken = await takeTurns(times, async name => {
        const db = await fresh()
        const ran = run(name, dir, files, db.url)
        await db.drop()
        return ran
      })
      tell(`apply ${n}`, taken, goals.apply)
      if (n === '200') {
        // psql remembers nothing: it has no such thing as nothing to do
        const remembering = Object.keys(runs).filter(name => name !== 'psql')
        const applied = {}
        for (const name of remembering) {
          applied[name] = await fresh()
          run(name, dir, files, applied[name].url)
        }
        const { psql: _, ...noop } = await takeTurns(noopRounds, async name =>
          name === 'psql' ? null : run(name, dir, files, applied[name].url),
        )
        tell('nothing to do, 200 applied', noop, goals.noop)
      }
      rmSync(dir, { recursive: true, force: true })
    }
    const ours = result['apply 1000, rethread']
    for (const name of ['dbmate', 'node-pg-migrate'].filter(n => result[`apply 1000, ${n}`])) {
      const others = result[`apply 1000, ${name}`]
      rows.push({
        what: 'apply 1000',
        who: `rethread beside ${name}`,
        ratio: (ours.seconds / others.seconds).toFixed(2),
        goal: 1,
        reached: reached(ours.seconds / others.seconds, 1),
      })
    }
    table(rows)
    return result
  } finally {
    await admin.end()
    await stop()
  }
}
