// `rethread migrate` with nothing to do against a bare script that connects and reads
// one row.
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { fillExample } from './example.mjs'
import { reached } from './markdown.mjs'

/** Most that the whole run may take, in times of the bare script. */
const goal = 1.3

export default async function startup({ rethread, server, median, root, table }) {
  const { url, stop } = await server()
  try {
    const sql = postgres(url, { max: 1, onnotice: () => {} })
    await fillExample(sql, root)
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
    const ratio = median(pairs.map(p => p[1] / p[0]))
    table([
      {
        what: '`migrate` with nothing to do, the track chosen by the database',
        'bare script, ms': bare.toFixed(0),
        'rethread, ms': ours.toFixed(0),
        ratio: ratio.toFixed(2),
        goal,
        reached: reached(ratio, goal),
      },
    ])
    return { bare, ours, ratio }
  } finally {
    await stop()
  }
}
