import { columnFacts } from '../database/catalog.sql.js'
import { sqlFailure } from '../database/faults.js'
import type { Db } from '../database/types.js'
import {
  type DroppedObject,
  droppedObjects,
  keysOf,
  objectText,
  setsAside,
} from '../files/dropped_objects.js'
import { parseStatements, type Statement } from '../files/statements.js'
import { bookkeepingOf } from '../files/track_objects.js'
import { type Failure, failureOf } from '../model/failure.js'
import type { Consent, Step } from '../model/plan.js'
import type { Migration, SqlFile, Track } from '../model/project.js'
import { tableText } from '../model/table_name.js'
import { exclusivelyLocked, holdings, relationsOf, runDeferred } from './refuse_destruction.sql.js'
import { type Holdings, hasMoved, isPermitted, takenBetween, wordedLoss } from './taken_between.js'
import { refusal, type WouldTake, whyNotArchived } from './why_not_archived.js'

/** What one step may delete, by `keyOf`. What a rollback archives is added for each statement. */
export interface Permits {
  keys: ReadonlySet<string>
  /** Tables with nothing to lose, as SQL. */
  spared: ReadonlySet<string>
  /** True if the file's header declares that it deletes data, and the hazard was allowed. */
  everything: boolean
  /** What is missing for any other deletion: an archive (in a rollback) or consent. */
  wanted: 'archive' | 'consent'
}

/**
 * What a migration may delete: the objects that its statements name, if their hazard is in the plan and was
 * allowed. A change of a column's type is allowed with the plan, because it has a hazard of its own.
 */
export async function permitsOf(track: Track, step: Step, consent: Consent): Promise<Permits> {
  const consented = consent.allow.has('DELETES_DATA')
  const allowed = new Set(
    step.hazards.flatMap(h => (h.code === 'DELETES_DATA' && consented ? [h.subject] : [])),
  )
  const objects = (await parseStatements(step.migration.file.text)).flatMap(droppedObjects)
  return {
    keys: new Set(
      objects
        .filter(o => o.kind === 'values' || objectText(o).some(name => allowed.has(name)))
        .flatMap(keysOf),
    ),
    spared: await sparedBy(track.migrations, objects),
    everything: step.migration.hazards.includes('DELETES_DATA') && consented,
    wanted: 'consent',
  }
}

/** The tables of migrations with nothing to lose. Files are only parsed if an object may be such a table. */
export const sparedBy = async (
  migrations: Migration[],
  objects: DroppedObject[],
): Promise<ReadonlySet<string>> =>
  objects.some(
    o =>
      o.kind === 'unknown' ||
      ('table' in o && ['chat_private', 'rethread_archive'].includes(o.table.schema ?? '')),
  )
    ? bookkeepingOf(migrations)
    : new Set()

/**
 * Throws DESTROYS_UNARCHIVED for a backfill that removes rows without consent: QUARANTINES_ROWS if it
 * quarantines them first, else DELETES_DATA.
 */
export async function refuseBackfill(m: Migration, consent: Consent): Promise<void> {
  const [statement] = await parseStatements(m.file.text)
  for (const o of statement ? droppedObjects(statement) : []) {
    if (o.kind !== 'rows' || o.kept) continue
    const table = tableText(o.table)
    const aside = m.hazards.includes('QUARANTINES_ROWS') && setsAside(m, statement!, table)
    const hazard = aside ? 'QUARANTINES_ROWS' : 'DELETES_DATA'
    if (consent.allow.has(hazard)) continue
    const taken: WouldTake = {
      object: table,
      what: `rows of ${table}`,
      reason: 'not allowed in this run',
      instead: `--allow ${hazard}`,
    }
    throw failure(statement!, m.file, [taken], 'consent')
  }
}

/** The effect of archiving: the rest of the statement to send, and the keys of what was archived. */
export interface Archived {
  left: Statement | null
  keys: string[]
}

/**
 * Checks every statement of a file in the file's transaction. Before it is sent, the objects that it names
 * are checked. Afterwards, the catalog and the server's counts show what it has really deleted, also by
 * functions, triggers, CASCADE and DO blocks. A deletion that is neither archived nor allowed throws a
 * Failure, which rolls the transaction back.
 */
export class DestructionGuard {
  private constructor(
    private readonly tx: Db,
    private readonly file: SqlFile,
    private readonly permits: Permits,
    /** What there was to lose at the start of the transaction. Null if no statement can delete anything. */
    private readonly start: Holdings | null,
    private now: Holdings | null,
    private stale = false,
  ) {}

  /** True if statements of a file may delete something. Of a rollback, all statements are checked. */
  static isNeeded(statements: Statement[], { everything, wanted }: Permits): boolean {
    return !everything && statements.some(s => wanted === 'archive' || droppedObjects(s).length > 0)
  }

  /** Prepares the check of a file's statements. */
  static async open(
    tx: Db,
    file: SqlFile,
    statements: Statement[],
    permits: Permits,
  ): Promise<DestructionGuard> {
    const start = DestructionGuard.isNeeded(statements, permits) ? await seen(tx, file, statements[0]!) : null
    return new DestructionGuard(tx, file, permits, start, start)
  }

  /** False if the file can be sent as a whole. */
  get watches(): boolean {
    return this.start !== null
  }

  /** Whether a relation existed before the transaction. What the file itself has created is no loss. */
  readonly existed = (oid: number): boolean => this.start?.has(oid) ?? true

  /** Sends a statement, or what is left of it after archiving. Throws DESTROYS_UNARCHIVED. */
  async run(
    statement: Statement,
    instead: ((statement: Statement) => Promise<Archived>) | null,
    send: (left: Statement) => Promise<unknown>,
  ): Promise<void> {
    const watched =
      this.watches && (this.permits.wanted === 'archive' || droppedObjects(statement).length > 0)
    if (watched) await this.lookBefore(statement)
    const { left, keys } = (await instead?.(statement)) ?? { left: statement, keys: [] }
    const permitted = new Set([...this.permits.keys, ...keys])
    if (left) {
      if (watched)
        await refuseNamed(this.tx, this.file, left, { ...this.permits, keys: permitted }, this.existed)
      await send(left)
    }
    if (watched) await this.refuseTaken(statement, permitted)
    else this.stale = true
  }

  /** Looks again, so that changes by unchecked statements are not attributed to the next one. */
  private async lookBefore(statement: Statement): Promise<void> {
    if (this.stale) this.now = await seen(this.tx, this.file, statement)
    this.stale = false
  }

  /** Before the commit: runs deferred triggers, so that what they delete is checked too. */
  async end(last: Statement | undefined): Promise<void> {
    if (!this.watches || !last) return
    await this.lookBefore(last)
    try {
      await runDeferred(this.tx)
    } catch (error) {
      throw sqlFailure(error, this.file.path, this.file.text)
    }
    await this.refuseTaken(last, this.permits.keys)
  }

  private async refuseTaken(statement: Statement, keys: ReadonlySet<string>): Promise<void> {
    const before = this.now!
    const now = await seen(this.tx, this.file, statement)
    this.now = now
    const { spared, wanted } = this.permits
    const gone = takenBetween(before, now, statement.kind)
      .filter(({ holding: h }) => this.existed(h.oid) && !spared.has(tableText(h)))
      .filter(t => !isPermitted(keys, t, before) && !hasMoved(statement, t, before, now))
    // counts of rows are for this session only; other changes may be of another session
    const ours = gone.some(t => t.rows === null) ? await exclusivelyLocked(this.tx) : null
    const taken = gone.filter(t => t.rows !== null || ours!.has(t.holding.oid))
    if (taken.length > 0)
      throw failure(
        statement,
        this.file,
        taken.map(t => wordedLoss(t, wanted)),
        wanted,
      )
  }
}

/** Refuses a statement because of the objects that it names. Throws DESTROYS_UNARCHIVED. */
export async function refuseNamed(
  sql: Db,
  file: SqlFile,
  statement: Statement,
  permits: Permits,
  existed: (oid: number) => boolean = () => true,
): Promise<void> {
  if (permits.everything) return
  const objects = droppedObjects(statement).filter(o => o.kind !== 'unknown')
  const relations = await relationsOf(
    sql,
    objects.flatMap(o => ('table' in o ? [o.table] : [])),
  )
  for (const o of objects) {
    const relation = 'table' in o ? relations.shift()! : null
    if ('table' in o) {
      if (!relation || relation.temporary || !existed(relation.oid) || permits.spared.has(relation.text))
        continue
      if (o.kind === 'rows' ? o.kept : !['r', 'p', 'c'].includes(relation.kind)) continue
      if ('column' in o && !(await columnFacts(sql, relation.text, o.column))) continue
    }
    const object = relation && 'table' in o ? { ...o, table: relation } : o
    if (keysOf(object).some(key => permits.keys.has(key))) continue
    const left =
      o.kind === 'schema' ? [...((await holdings(sql)) ?? []).values()].filter(h => existed(h.oid)) : []
    const why = await whyNotArchived(sql, statement, object, relation, left)
    if (!why && o.kind === 'schema') continue
    const name = objectText(object)[0]!
    const plain: WouldTake = {
      object: name,
      what: `${o.kind} ${name}`,
      reason: permits.wanted === 'archive' ? 'not archived in this run' : 'not allowed in this run',
      instead:
        permits.wanted === 'archive'
          ? 'Name it as it is called before the file runs.'
          : '--allow DELETES_DATA',
    }
    throw failure(statement, file, [permits.wanted === 'archive' ? (why ?? plain) : plain], permits.wanted)
  }
}

const failure = (
  statement: Statement,
  file: SqlFile,
  taken: WouldTake[],
  wanted: Permits['wanted'],
): Failure => failureOf(refusal(statement, file, taken, wanted))

/** What there is to lose now. Throws if the server does not count deleted rows. */
async function seen(tx: Db, file: SqlFile, statement: Statement): Promise<Holdings> {
  const now = await holdings(tx)
  if (now) return now
  const blind: WouldTake = {
    object: file.path,
    what: 'rows',
    reason: 'the server does not count deleted rows while track_counts is off',
    instead: 'alter system set track_counts = on; select pg_reload_conf();',
  }
  throw failure(statement, file, [blind], 'archive')
}
