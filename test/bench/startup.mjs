// `rethread migrate` with nothing to do against a bare script that connects and reads
// one row: at most 1.5 times.
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'

export default async function startup({ rethread, server, median, root }) {
  const { url, stop } = await server()
  try {
    const sql = postgres(url, { max: 1, onnotice: () => {} })
    for (const file of ['supabase-shim.sql', 'workspace-sessions/before.sql'])
      await sql.unsafe(readFileSync(join(root, 'examples', file), 'utf8'))
    await sql.end()
    await rethread(url, ['migrate'])
    const floor = join(root, '.rethread/bench/floor.mjs')
    writeFileSync(
      floor,
      `import postgres from 'postgres'
       const sql = postgres(process.env.DATABASE_URL, { max: 1 })
       console.log((await sql\`select migration from rethread.ledger order by id desc limit 1\`)[0].migration)
       await sql.end()`,
    )
    const time = args => {
      const start = performance.now()
      const ran = spawnSync(process.execPath, args, { env: { ...process.env, DATABASE_URL: url } })
      if (ran.status !== 0) throw new Error(String(ran.stderr))
      return performance.now() - start
    }
    const pairs = []
    for (let i = 0; i < 21; i++)
      pairs.push([time([floor]), time([join(root, 'dist/cli/main.js'), 'migrate', '--quiet'])])
    const bare = median(pairs.map(p => p[0]))
    const ours = median(pairs.map(p => p[1]))
    const ratio = ours / bare
    console.log(
      `bare script ${bare.toFixed(0)} ms, migrate with nothing to do ${ours.toFixed(0)} ms: ${ratio.toFixed(2)} times (goal: at most 1.5)`,
    )
    return { bare, ours, ratio }
  } finally {
    await stop()
  }
}
