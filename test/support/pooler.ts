import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { open } from './database.js'

const program = '/usr/sbin/pgbouncer'

/** Whether there is one: pgbouncer comes from the system's packages. */
export const hasPooler = existsSync(program)

/** A pgbouncer in front of a server, and the URL that leads through it. */
export class Pooler implements AsyncDisposable {
  private process: ChildProcess | null = null

  private constructor(
    readonly url: string,
    private readonly folder: string,
  ) {}

  /** Starts one with these settings in front of the database of a URL. */
  static async start(target: string, settings: Record<string, string | number>): Promise<Pooler> {
    const { hostname, port, pathname } = new URL(target)
    const folder = mkdtempSync('/tmp/rethread-pooler-')
    const listen = 20_000 + Math.floor(Math.random() * 12_000)
    const all = { listen_addr: '127.0.0.1', listen_port: listen, auth_type: 'any', ...settings }
    writeFileSync(
      join(folder, 'pgbouncer.ini'),
      `[databases]
* = user=postgres host=${hostname} port=${port}
[pgbouncer]
unix_socket_dir =
logfile = /dev/null
${Object.entries(all)
  .map(([key, value]) => `${key} = ${value}`)
  .join('\n')}
`,
    )
    chmodSync(folder, 0o755)
    const pooler = new Pooler(`postgres://postgres@127.0.0.1:${listen}${pathname}`, folder)
    await pooler.restart()
    return pooler
  }

  /** Ends it with all connections that go through it, and starts it again. */
  async restart(): Promise<void> {
    if (this.process) {
      // its port is free only then
      const gone = once(this.process, 'exit')
      this.process.kill('SIGKILL')
      await gone
    }
    this.process = spawn(program, ['-q', '-u', 'nobody', join(this.folder, 'pgbouncer.ini')], {
      stdio: 'ignore',
    })
    for (let tries = 0; ; tries++) {
      const sql = open(this.url, 1)
      try {
        await sql.unsafe('select')
        return
      } catch (error) {
        if (tries === 50) throw error
        await new Promise(done => setTimeout(done, 100))
      } finally {
        await sql.end()
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.process?.kill('SIGKILL')
    rmSync(this.folder, { recursive: true, force: true })
  }
}
