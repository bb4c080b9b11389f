import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineCommand } from '../command.js'
import { startEmbedded } from '../database/embedded.js'
import { UsageError } from '../model/failure.js'
import { count, flag } from '../model/options.js'
import { finding } from '../model/report.js'
import { demo } from '../operate/demo.js'

/** A new folder for each demo that is kept: its server may still run, and its data may be needed. */
function keptFolder(cwd: string): string {
  for (let n = 1; ; n++) {
    const folder = join(cwd, `.rethread/demo${n === 1 ? '' : `-${n}`}`)
    if (!existsSync(folder)) return folder
  }
}

export default defineCommand({
  summary: 'start a PostgreSQL of its own, fill it with a chat database, and walk the whole life cycle',
  example: 'rethread demo --messages 20000',
  options: {
    messages: count('--messages <n>', 'messages in the database (default 100000)', 100_000),
    keep: flag('--keep', 'leave the server running and print its URL'),
  },
  offline: true,
  run: async ({ ctx, project, options, trackName, cwd, env, home, sources }) => {
    const name = trackName ?? 'workspace-sessions'
    const missing = ['before.sql', 'old_app.sql', 'new_app.sql']
      .map(file => `examples/${name}/${file}`)
      .filter(file => !existsSync(join(home, file)))
    if (missing.length > 0)
      throw new UsageError(`demo --track ${name}`, `the demo of a track needs ${missing.join(', ')}`)
    const dataDir = options.keep ? keptFolder(cwd) : mkdtempSync(join(tmpdir(), 'rethread-demo-'))
    ctx.emit({ type: 'narrate', text: 'Starting a PostgreSQL of our own ...' })
    const server = await startEmbedded({ dataDir, from: [cwd, home], env })
    try {
      const read = (file: string) => readFileSync(join(home, 'examples', file), 'utf8')
      const fixture = {
        shim: read('supabase-shim.sql'),
        before: read(`${name}/before.sql`),
        oldApp: read(`${name}/old_app.sql`),
        newApp: read(`${name}/new_app.sql`),
        messages: options.messages,
      }
      const report = await demo({ ...ctx, url: server.url }, project(), { name, sources, fixture })
      if (options.keep) report.findings.push(finding('DEMO_KEPT', name, { url: server.url, folder: dataDir }))
      return report
    } catch (error) {
      if (options.keep) ctx.emit({ type: 'narrate', text: `The server still runs, at ${server.url}` })
      throw error
    } finally {
      if (!options.keep) {
        await server.stop('immediate')
        rmSync(dataDir, { recursive: true, force: true })
      }
    }
  },
})
