import { randomBytes } from 'node:crypto'
import { type ConsentRequest, openProject, type Report } from '../../src/index.js'
import { isSevere, leavesUnseen } from '../../src/model/report.js'
import { differences } from '../../src/run/schema_snapshot.js'
import { type ObjectRow, objects } from '../../src/run/schema_snapshot.sql.js'
import { type Database, database, open, picture } from './database.js'
import { type Insert, oldStatement, unaccounted, type When } from './old_application.js'
import { proxy } from './proxy.js'
import type { Server } from './servers.js'
import { type Dice, diceOf, type Variation, variationsOf } from './variation.js'
import { errorOf, rowsOf, vary, withIds } from './variation_database.js'

/** What a story comes to. */
export type Ending = 'refused' | 'looked at' | 'failed rows' | 'rolled back'

/** Consents for everything that a story does. */
const everything = (db: Database, fitting: Variation[]) => ({
  allow: [
    'ENDS_OLD_APP',
    'QUARANTINES_ROWS',
    'DELETES_DATA',
    'IGNORES_RECENT_WRITES',
    'FIRES_TRIGGERS',
    // a varied policy may let more people read a table than those of the track
    ...(fitting.some(v => v.kind.startsWith('policy of ')) ? ['SHOWS_ROWS'] : []),
  ] as never[],
  confirm: db.name,
})

/** A statement of the application: what it sent, and the SQLSTATE with which it was refused. */
interface Sent {
  sql: string
  error: string | null
}

/** A role that is no superuser, and what gives it its rights in a database of the story. */
interface Deployer {
  role: string
  rights: string
}

const as = (url: string, role: string): string => {
  const other = new URL(url)
  other.username = role
  return other.toString()
}

/** The role that doctor names instead of a superuser, with its rights; null where it names none. */
async function deployerOf(db: Database, track: string): Promise<Deployer | null> {
  const project = await openProject({ databaseUrl: db.url, track })
  const { findings } = await project.doctor()
  await project.close()
  const lesser = findings.find(f => f.code === 'RUNS_AS_SUPERUSER')
  if (lesser?.code !== 'RUNS_AS_SUPERUSER' || lesser.facts.instead !== 'rethread_deploy') return null
  const role = `deploy_${randomBytes(4).toString('hex')}`
  const statements = lesser.facts.statements.map(s => s.replaceAll('rethread_deploy', role))
  // where it inherited, it would be a reader of the databases that other files have on this server
  await db.sql.unsafe(statements.map(s => s.replace(/^(create role .* login)$/, '$1 noinherit')).join(';'))
  const made = statements.filter(s => !/^create role/.test(s))
  return { role, rights: made.map(s => s.replaceAll(db.name, '%DATABASE%')).join(';') }
}

/**
 * One variation, from its first look to its rollback: throws where a row is lost, the application sees an
 * error that it would not have seen, or the rollback is not exact. `full` goes on after the plan.
 */
export class VariationStory implements AsyncDisposable {
  private readonly sent: Sent[] = []
  private fitting: Variation[] = []
  private statements = 0
  private when: When = 'before'
  private done: string[] = []
  /** A contract phase may have taken rows out. */
  private tookOut = false
  /** Triggers were fired that were to be held off: a foreign key did not allow it, and that was said. */
  private fired = false

  private constructor(
    private readonly server: Server,
    private readonly track: string,
    private readonly seed: number,
    private readonly d: Dice,
    private readonly db: Database,
    private readonly hold: boolean,
    /** No superuser: who runs rethread here, with the rights that doctor says. */
    private readonly deployer: Deployer | null,
  ) {}

  static async of(server: Server, track: string, seed: number): Promise<VariationStory> {
    const d = diceOf(track, seed + 1_000_003)
    const db = await database(server, track, 20)
    const hold = d.chance(0.5)
    const fitting = await vary(db, variationsOf(track, seed, server.major))
    // a choice of its own: the other ones of a seed stay what they were
    const deployer = diceOf(track, seed + 2_000_003).chance(0.4) ? await deployerOf(db, track) : null
    const story = new VariationStory(server, track, seed, d, db, hold, deployer)
    story.fitting = fitting
    return story
  }

  /** The ways in which its schema was varied. */
  get ways(): string[] {
    return this.fitting.map(v => v.kind.split(' ')[0]!).filter(way => way !== 'clock')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.db[Symbol.asyncDispose]()
    if (!this.deployer) return
    const admin = open(this.server.url, 1)
    await admin.unsafe(`drop role if exists ${this.deployer.role}`)
    await admin.end()
  }

  /** The database, as whoever runs rethread. */
  private get url(): string {
    return this.deployer ? as(this.db.url, this.deployer.role) : this.db.url
  }

  async tell(full: boolean): Promise<Ending> {
    try {
      return await this.run(full)
    } catch (error) {
      const kinds = this.fitting.map(v => v.kind).join(', ')
      throw new Error(
        `${this.track}, PostgreSQL ${this.server.major}, seed ${this.seed} (${kinds}; ${this.hold ? 'hold' : 'fire'}${this.deployer ? ', as the role of a deploy' : ''}) after ${this.done.join(', ')}: ${(error as Error).message}`,
        { cause: error },
      )
    }
  }

  private async run(full: boolean): Promise<Ending> {
    const { db, d } = this
    await this.act(5 + d.upTo(15))
    const before = await picture(db.sql)
    const schema = await objects(db.sql)
    const looks = await this.looks()
    if (looks === 'refused') {
      same('after a refusal', await picture(db.sql), before)
      return 'refused'
    }
    if (!full && looks !== 'migrated') {
      same('after the looks', await picture(db.sql), before)
      return 'looked at'
    }
    this.when = 'during'
    if (d.chance(0.6)) {
      await this.through('migrate', { phase: 'expand' }, true)
      await this.act(d.upTo(12))
    }
    let reached = await this.through('migrate', {}, true)
    if (d.chance(0.5)) {
      await this.act(1 + d.upTo(10))
      reached = await this.through('migrate', {}, false)
    }
    await this.act(d.upTo(5))
    await this.settles()
    const contract = reached === 'clean' && d.chance(0.7)
    if (contract) {
      this.tookOut = true
      await this.through('migrate', { phase: 'contract' }, false)
      this.when = 'contracted'
      await this.act(d.upTo(12))
      await this.command('verify', {})
    }
    await this.back(schema)
    if (reached === 'clean' && d.chance(0.25)) {
      await this.through('restore', { archive: 'latest' }, false)
      this.when = contract ? 'contracted' : 'during'
      await this.act(d.upTo(5))
      await this.command('verify', {})
      await this.back(schema)
    }
    await this.compare()
    return reached === 'clean' ? 'rolled back' : 'failed rows'
  }

  /** What the checks of the track compare is right, or is after another migrate that is clean. */
  private async settles(): Promise<void> {
    const wrong = async () =>
      (await this.command('verify', {})).checks.filter(c => c.outcome === 'found' && kept.has(c.check))
    if ((await wrong()).length === 0 || (await this.command('migrate', {})).verdict !== 'clean') return
    const still = await wrong()
    if (still.length > 0)
      throw new Error(
        `migrate is clean, but ${still.map(c => `${c.check}: ${JSON.stringify(c.found)}`).join('; ')}`,
      )
  }

  /** The rollback of everything, after which the application goes on. */
  private async back(schema: ObjectRow[]): Promise<void> {
    await this.through('rollback', { all: true }, false)
    this.when = 'before'
    await this.act(1 + this.d.upTo(5))
    const other = differences(schema, await objects(this.db.sql))
    if (other.length > 0) throw new Error(`the rollback left another schema: ${other.join('; ')}`)
  }

  /**
   * Whether the looks say no; then the migration says so too, and where they do not, it does not. Where they
   * could not look at everything, the migration may do it, and has.
   */
  private async looks(): Promise<'refused' | 'fitting' | 'migrated'> {
    const doctor = await this.command('doctor', {})
    // a plan looks at the same things: not every time
    const looks = this.d.chance(0.3) ? [doctor, await this.command('plan', {})] : [doctor]
    const no = looks.filter(r => r.verdict !== 'clean' && !wantsConsentOnly(r))
    if (no.length === 0) return 'fitting'
    const unknown = looks.some(r => r.findings.some(f => f.code === 'ROWS_NOT_LOOKED_AT'))
    const migrated = await this.command('migrate', {})
    if (migrated.verdict !== 'refused' && !unknown)
      throw new Error(`${no.map(said).join('; ')}, but ${said(migrated)}`)
    return migrated.verdict === 'refused' ? 'refused' : 'migrated'
  }

  /** The same command until it gets through: killed, stopped, or with the application beside it. */
  private async through(
    verb: 'migrate' | 'rollback' | 'restore',
    request: object,
    beside: boolean,
  ): Promise<string> {
    const how = this.d.one(['cut', 'stopped', 'alone', 'alone'] as const)
    if (how === 'cut') {
      await using between = await proxy(this.url)
      // and the server stays away
      between.cutAt(1 + this.d.upTo(this.d.one([20, 80, 300])), () => void between[Symbol.asyncDispose]())
      const report = await this.command(verb, request, { url: between.url, beside })
      if (!between.cut && ends(report)) return report.verdict
    }
    if (how === 'stopped') {
      const report = await this.command(verb, request, { stopAt: this.d.upTo(20), beside })
      if (report.verdict !== 'interrupted' && ends(report)) return report.verdict
    }
    let report = await this.command(verb, request, { beside })
    // a consent is for the rows that were there when it was asked for: those of today are now reported. Where
    // most of them are set aside, those who read them read none any more
    let consent: ConsentRequest = everything(this.db, this.fitting)
    for (const hazard of ['QUARANTINES_ROWS', 'HIDES_ROWS'] as const) {
      const asks = report.findings.find(f => f.code === 'CONSENT_NEEDED')
      if (asks?.code !== 'CONSENT_NEEDED' || asks.facts.missing.join() !== hazard) continue
      consent = {
        ...consent,
        allow: [...(consent.allow ?? []), hazard],
        rows: asks.facts.rows ?? consent.rows,
      }
      report = await this.command(verb, { ...request, consent })
    }
    // what follows from the rows that are taken out is known when they are set aside
    const referred = report.findings.some(f => f.code === 'ROWS_REFERENCED')
    if (!ends(report) && !referred) throw new Error(said(report))
    return report.verdict
  }

  private async command(
    verb: 'doctor' | 'plan' | 'migrate' | 'verify' | 'rollback' | 'restore',
    request: object,
    {
      url = this.url,
      stopAt = Number.POSITIVE_INFINITY,
      beside = false,
    }: { url?: string; stopAt?: number; beside?: boolean } = {},
  ): Promise<Report> {
    const stop = new AbortController()
    let events = 0
    const project = await openProject({
      databaseUrl: url,
      track: this.track,
      lockWaitSeconds: 30,
      config: this.hold ? { triggers: 'hold' } : {},
      signal: stop.signal,
      onEvent: event => {
        // nobody waits a minute for a server that does not come back
        if (events++ === stopAt || event.type === 'reconnect') stop.abort()
      },
    })
    const takes = { consent: everything(this.db, this.fitting), ...request }
    const asked = project[verb](
      (['doctor', 'verify'].includes(verb) ? request : takes) as never,
    ) as Promise<Report>
    let running = true
    const ended = asked.finally(() => {
      running = false
    })
    // as many as the seed says, however fast the run is: the story of a seed is always the same one
    for (let left = beside ? 3 + this.d.upTo(12) : 0; left > 0; left--) {
      await this.act(1)
      if (running) await new Promise(done => setTimeout(done, 20))
    }
    const report = await ended
    this.fired ||= report.findings.some(f => f.code === 'FIRING_TRIGGERS' && !f.facts.held)
    const failing = report.checks.filter(c => c.outcome !== 'pass').map(c => `${c.check} ${c.outcome}`)
    if (process.env.RETHREAD_VERBOSE) process.stderr.write(`${said(report)}\n`)
    this.done.push(`${verb}${JSON.stringify(request)}: ${[report.verdict, ...failing].join(' ')}`)
    await project.close()
    if (!beside && ends(report)) await this.isHonest(verb, report)
    return report
  }

  /** Nothing is called clean while a message is neither migrated nor set aside; what failed is counted. */
  private async isHonest(verb: string, report: Report): Promise<void> {
    const query = unaccounted[this.track]
    if (!query || !['migrate', 'verify', 'restore'].includes(verb) || report.verdict === 'refused') return
    const [there] = await this.db.sql`
      select exists (select from rethread.ledger where track = ${this.track} and outcome = 'done' and migration ~ '^(005|018)') as done`.catch(
      () => [{ done: false }],
    )
    // also where the contract phase was cut off: it may have taken the table away
    if (!there!.done || this.tookOut) return
    const rows = await this.db.sql.unsafe<{ id: string }[]>(query)
    if (rows.length === 0) return
    if (report.verdict === 'clean')
      throw new Error(`${verb} is clean, but ${rows.map(r => r.id)} is neither migrated nor set aside`)
    if (verb === 'migrate' && !report.findings.some(f => f.level === 'error' || f.level === 'warn'))
      throw new Error(`${verb} does not say why ${rows.map(r => r.id)} is left: ${said(report)}`)
  }

  /** Statements of the application, one after the other. */
  private async act(count: number): Promise<void> {
    const mandatory = this.fitting.flatMap(v => v.mandatory ?? [])
    const insert: Insert = (table, columns, end = '') => {
      const all = { ...columns }
      for (const m of mandatory) if (m.table === table) all[m.column] = m.value
      return `insert into public.${table} (${Object.keys(all).join(', ')}) values (${Object.values(all).join(', ')}) ${end}`
    }
    for (let i = 0; i < count; i++) {
      const made = oldStatement(this.track, this.d, this.statements++, this.when, insert)
      const sql = await withIds(this.db, made)
      this.sent.push({ sql, error: await errorOf(this.db.sql, sql) })
    }
  }

  /** The same statements on a database that was never migrated. */
  private async compare(): Promise<void> {
    await using other = await database(this.server, this.track, 20)
    await vary(other, this.fitting)
    if (this.deployer) await other.sql.unsafe(this.deployer.rights.replaceAll('%DATABASE%', other.name))
    for (const { sql, error } of this.sent) {
      const expected = await errorOf(other.sql, sql)
      if (expected !== error) throw new Error(`the application saw ${error}, not ${expected}: ${sql}`)
    }
    const fires = (v: Variation) => !this.hold || this.fired || v.always || (v.deletions && this.tookOut)
    const moved = this.fitting.filter(fires).flatMap(v => v.moved ?? [])
    const [now, never] = [await rowsOf(this.db, moved), await rowsOf(other, moved)]
    same('tables', Object.keys(now), Object.keys(never))
    for (const [table, rows] of Object.entries(never)) {
      const lacks = rows.filter(r => !now[table]!.includes(r))
      const has = now[table]!.filter(r => !rows.includes(r))
      if (lacks.length + has.length > 0 || rows.length !== now[table]!.length)
        throw new Error(
          `${table} has ${now[table]!.length} rows, not ${rows.length}: it lacks ${lacks.slice(0, 2)} and has ${has.slice(0, 2)}`,
        )
    }
  }
}

/** Checks that find nothing while both sides are kept in step. */
const kept = new Set([
  'accounted',
  'same_content',
  'same_text',
  'same_workspace',
  'orphaned_messages',
  'foreign_keys_true',
  'counters_true',
  'every_conversation',
  'every_text',
  'no_orphans',
  'true_links',
])

/** A report that says how the work ended, in good or bad: not that it was cut off. */
/** The doctor is asked without the consent that the migration has. */
const wantsConsentOnly = ({ command, findings }: Report): boolean =>
  command === 'doctor' &&
  !leavesUnseen(findings) &&
  findings.filter(isSevere).every(f => f.code === 'CONSENT_NEEDED')

const ends = (report: Report): boolean => report.verdict === 'clean' || report.verdict === 'attention'

const said = (report: Report): string =>
  `${report.command} is ${report.verdict}: ${report.findings
    .filter(f => f.level === 'error' || f.level === 'refused' || f.level === 'warn')
    .map(f => `${f.code} ${f.subject} ${JSON.stringify(f.facts)}`)
    .join(', ')}`

const same = (what: string, now: unknown, before: unknown): void => {
  if (JSON.stringify(now) !== JSON.stringify(before))
    throw new Error(`${what}: ${JSON.stringify(now)} is not ${JSON.stringify(before)}`)
}
