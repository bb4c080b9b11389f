import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { contentHash, fingerprintOf, objects } from '../../src/run/schema_snapshot.sql.js'
import { contractWith, type Ran, rethread, undoAll } from './cli.js'
import { type Database, database, open } from './database.js'
import { folder } from './folder.js'
import { plainRoles, type RandomApplication, randomApplication } from './random_application.js'
import type { Server } from './servers.js'

/** What a story comes to: `init` or a later look said no, or it went all the way. */
export type InitEnding = 'refused' | 'planned' | 'restored'

/** Words of a command line as a shell reads them. */
const wordsOf = (command: string): string[] =>
  [...command.matchAll(/(?:'(?:[^']|'\\'')*'|[^\s'])+/g)].map(([word]) =>
    word.replaceAll(`'\\''`, '\0').replaceAll("'", '').replaceAll('\0', "'"),
  )

/** All that is wrong in a report; what the database had before is its own. */
const faults = ({ report, code, stderr }: Ran): string[] =>
  report
    ? [
        ...report.findings
          .filter(f => f.level === 'error' || f.level === 'refused' || (code !== 0 && f.level !== 'info'))
          .map(f => `${f.code} ${f.subject}: ${f.message}`),
        ...report.checks
          .filter(c => c.outcome === 'failed' || (c.level === 'error' && c.found.some(f => !f.preExisting)))
          .map(c => JSON.stringify([c.check, c.found.map(f => f.detail)])),
      ]
    : [stderr]

/**
 * An application made at random, from `doctor` to `restore`: throws where a refusal is not one that was to be
 * expected or has changed something, where the application sees an error, where messages are unaccounted for,
 * or where the rollback is not exact.
 */
export class InitStory implements AsyncDisposable {
  private readonly cwd = folder({})
  private readonly done: string[] = []
  private times = 0

  private constructor(
    private readonly server: Server,
    private readonly seed: number,
    readonly app: RandomApplication,
    private readonly db: Database,
  ) {}

  static async of(server: Server, track: string, seed: number): Promise<InitStory> {
    const app = randomApplication(track, seed)
    const db = await database(server, 'empty')
    const story = new InitStory(server, seed, app, db)
    if (app.plain)
      for (const role of plainRoles)
        await db.sql.unsafe(
          `do $$ begin create role ${role}; exception when duplicate_object or unique_violation then null; end $$`,
        )
    // a connection of its own: that of the database keeps plans of what is made here
    const sql = open(db.url, 1)
    try {
      for (const statement of app.make) await story.send(statement, sql)
      await sql.unsafe('analyze')
    } finally {
      await sql.end()
    }
    return story
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.db[Symbol.asyncDispose]()
  }

  async tell(full: boolean): Promise<InitEnding> {
    try {
      return await this.run(full)
    } catch (error) {
      throw new Error(
        `${this.app.answers.track}, PostgreSQL ${this.server.major}, RETHREAD_SEED=${this.seed} (${this.app.ways.join(', ')}) after ${this.done.join(', ')}: ${(error as Error).message}`.replace(
          /\s+/g,
          ' ',
        ),
        { cause: error },
      )
    }
  }

  private async run(full: boolean): Promise<InitEnding> {
    const { app, db } = this
    await this.old()
    const before = await this.picture()
    const [messages] = await db.sql.unsafe<{ n: number }[]>(app.before)
    const doctor = await rethread(db.url, ['doctor'], { cwd: this.cwd })
    this.done.push('doctor')
    if (!doctor.report) throw new Error(doctor.stderr)
    const init = await this.init(doctor)
    if (init.code !== 0) return await this.refused(init, before)
    for (let times = 0; times < 3; times++) {
      const plan = await rethread(db.url, ['plan'], { cwd: this.cwd })
      this.done.push('plan')
      if (plan.code === 0) break
      if (!(await this.comply(plan)))
        return await this.refused(await rethread(db.url, ['migrate'], { cwd: this.cwd }), before, plan)
    }
    this.same('after the plan', await this.picture(), await this.prepared(before))
    if (!full) return 'planned'
    const ready = (await this.picture()).schema
    await this.ran('migrate')
    await this.old()
    const [left] = await db.sql.unsafe<{ n: number }[]>(app.left)
    if (left!.n !== 0) throw new Error(`${left!.n} rows are left`)
    const both = this.seed % 2 === 1
    if (both) await this.fresh()
    await this.verify()
    await this.ran('migrate', ...contractWith())
    await this.fresh()
    await this.ran('prove')
    const [now] = await db.sql.unsafe<{ n: number }[]>(app.after)
    const [sent] = [this.sentMessages]
    if (now!.n !== messages!.n + (both ? 2 : 1) * app.added + sent)
      throw new Error(`${messages!.n} messages, ${sent} and ${app.added} more are ${now!.n}`)
    await this.ran('rollback', ...undoAll(db.name))
    const after = await this.picture()
    if (after.schema !== ready) throw new Error('the rollback left another schema')
    await this.old()
    await this.restore()
    await this.verify()
    return 'restored'
  }

  private sentMessages = 0

  /** Copies the track: by the command that doctor names, where that is complete, else with all answers. */
  private async init(doctor: Ran): Promise<Ran> {
    const { answers } = this.app
    const near = doctor.report.findings.find(f => f.code === 'NEAREST_TRACK')
    const { command = null, differs = [] } = (near?.facts ?? {}) as { command?: string; differs?: string[] }
    // what is only likely is a person's to look at
    const isCertain = differs.every(d => / \(certain: |^values|its values are/.test(d))
    const proposed =
      command !== null &&
      near!.subject === answers.track &&
      isCertain &&
      !command.includes('<yours>') &&
      !command.includes('--zone') &&
      !this.app.chosen &&
      this.seed % 2 === 0
    if (!proposed) writeFileSync(join(this.cwd, 'answers.json'), JSON.stringify(answers))
    const args = proposed ? wordsOf(command).slice(1) : ['init', '--answers', 'answers.json']
    this.done.push(`rethread ${args.join(' ')}`)
    return await rethread(this.db.url, args, { cwd: this.cwd })
  }

  /** Does what a refusal asks for: a missing function, or a decision. False where it asks for nothing. */
  private async comply(plan: Ran): Promise<boolean> {
    const refusals = plan.report.findings.filter(
      f => f.level === 'refused' || f.level === 'error' || f.level === 'warn',
    )
    for (const f of refusals) {
      if (/SHOWS_ROWS/.test(f.message) && this.app.answers.track === 'workspace-sessions') {
        const path = join(this.cwd, 'rethread.config.json')
        const config = JSON.parse(readFileSync(path, 'utf8'))
        if (config.settings) return false
        writeFileSync(path, JSON.stringify({ ...config, settings: { legacy_grouping: 'author' } }))
        return true
      }
      const sql =
        f.fix && /create (?:or replace )?function public\.update_updated_at[\s\S]*\$\$;/.exec(f.fix)?.[0]
      if (sql) {
        await this.send(sql)
        this.done.push('update_updated_at')
        return true
      }
    }
    return false
  }

  private async prepared(before: Picture): Promise<Picture> {
    return this.done.includes('update_updated_at')
      ? { ...before, schema: (await this.picture()).schema }
      : before
  }

  /** A refusal is one that the application was made for, and has changed nothing. */
  private async refused(ran: Ran, before: Picture, plan?: Ran): Promise<InitEnding> {
    this.same('after a refusal', await this.picture(), await this.prepared(before))
    const said = faults(ran)
    if (ran.code !== 3 || !said.some(s => this.app.refused.some(r => r.test(s))))
      throw new Error(
        `exit ${ran.code}: ${said.join('; ')}${plan ? `; the plan: ${faults(plan).join('; ')}` : ''}`,
      )
    return 'refused'
  }

  /** Of a table without a key, no row can be told from its like: what it had is kept aside, and said. */
  private async restore(): Promise<void> {
    if (!this.app.ways.includes('keys none')) return this.ran('restore', 'latest')
    const ran = await rethread(this.db.url, ['restore', 'latest'], { cwd: this.cwd })
    const wrong = ran.report.findings.filter(f => f.level !== 'info').map(f => f.code)
    if (ran.code === 2 || wrong.some(code => !/^(RESTORE_CONFLICT|QUARANTINED)$/.test(code)))
      throw new Error(`restore, exit ${ran.code}: ${faults(ran).join('; ')}`)
  }

  /** As real users too, where anybody can be told from another. */
  private verify(): Promise<void> {
    return this.ran('verify', ...(this.app.sampled ? ['--sample', '2'] : []))
  }

  private async ran(...args: string[]): Promise<void> {
    const ran = await rethread(this.db.url, args, { cwd: this.cwd })
    this.done.push(args.join(' '))
    const wrong = faults(ran)
    if (ran.code !== 0 || wrong.length > 0) throw new Error(`exit ${ran.code}: ${wrong.join('; ')}`)
  }

  private async old(): Promise<void> {
    const count = async () => (await this.db.sql.unsafe<{ n: number }[]>(this.app.before))[0]!.n
    const before = await count()
    for (const statement of this.app.old(this.times)) await this.send(statement)
    if (this.times > 0) this.sentMessages += (await count()) - before
    this.times++
  }

  private async fresh(): Promise<void> {
    for (const statement of this.app.fresh(this.times)) await this.send(statement)
    this.times++
  }

  private async send(statement: string, sql = this.db.sql): Promise<void> {
    try {
      await sql.unsafe(statement)
    } catch (error) {
      throw new Error(`${statement}: ${(error as Error).message}`, { cause: error })
    }
  }

  private same(when: string, found: Picture, wanted: Picture): void {
    if (found.schema !== wanted.schema) throw new Error(`${when} the schema is another`)
    for (const [table, content] of Object.entries(wanted.content))
      if (JSON.stringify(found.content[table]) !== JSON.stringify(content))
        throw new Error(`${when} ${table} is another`)
  }

  private async picture(): Promise<Picture> {
    const { sql } = this.db
    const tables = await sql<{ name: string; columns: string[] }[]>`
      select c.oid::regclass::text as name, array(
        select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped order by 1) as columns
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind = 'r' and n.nspname !~ '^(pg_|information_schema|rethread)' order by 1`
    const content: Picture['content'] = {}
    for (const t of tables) content[t.name] = await contentHash(sql, t.name, t.columns)
    return { schema: fingerprintOf(await objects(sql)), content }
  }
}

interface Picture {
  schema: string
  content: Record<string, unknown>
}
