import { sqlFailure } from '../db/fault.js'
import { Failure } from '../model/failure.js'
import type { Consent, Step } from '../model/plan.js'
import { columnText, partText, tableText } from '../model/table_name.js'
import type { Migration, SqlFile, Track } from '../model/workspace.js'
import { columnFacts } from '../sql/catalog.js'
import { type Holding, holdings, relationsOf, runDeferred } from '../sql/destruction.js'
import type { Db } from '../sql/types.js'
import { type DroppedObject, droppedObjects, objectText } from '../workspace/dropped_objects.js'
import { parseStatements, type Statement } from '../workspace/statements.js'
import { bookkeepingOf } from '../workspace/tables.js'
import { refusal, type Taken, whyNotArchived } from './why_not_archived.js'

/** What one step may take away, by `keyOf`. What a rollback archives comes on top, statement by statement. */
export interface Permits {
  keys: ReadonlySet<string>
  /** Tables that hold nothing to lose, as SQL. */
  spared: ReadonlySet<string>
  /** True where the file's header says that it deletes data, and somebody has allowed that by name. */
  everything: boolean
  /** What is missing for anything else: the archive of a rollback, or consent. */
  wanted: 'archive' | 'consent'
}

/** The key of what is taken away: its kind and its name as SQL. A column's values go like the column. */
export const keyOf = (kind: 'table' | 'column' | 'rows' | 'schema', name: string): string => `${kind} ${name}`

const keysOf = (o: DroppedObject): string[] =>
  o.kind === 'unknown' || o.kind === 'database'
    ? []
    : objectText(o).map(name => keyOf(o.kind === 'values' ? 'column' : o.kind, name))

/**
 * What a migration may take away: the objects that its statements name, whose hazard is in the plan and was allowed. A
 * change of a column's type is allowed with the plan: it computes the values, as its own hazard says.
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

/** The tables of migrations that hold nothing to lose; files are parsed only where an object may be one of them. */
export const sparedBy = async (migrations: Migration[], objects: DroppedObject[]): Promise<Set<string>> =>
  objects.some(
    o =>
      o.kind === 'unknown' ||
      ('table' in o && ['chat_private', 'rethread_archive'].includes(o.table.schema ?? '')),
  )
    ? bookkeepingOf(migrations)
    : new Set()

/** What took the place of a statement: what is left of it to send, and the keys of what was archived for it. */
export interface Archived {
  left: Statement | null
  keys: string[]
}

/**
 * Stands between the statements of one file and the server, in the file's transaction. What a statement names is looked
 * up right before it is sent, what it has really taken away right after, by the catalog and the server's own counts:
 * functions, triggers, CASCADE and DO blocks included. Whatever nobody archived or allowed is refused, and with the
 * Failure the transaction goes back.
 */
export class DestructionGuard {
  private constructor(
    private readonly tx: Db,
    private readonly file: SqlFile,
    private readonly permits: Permits,
    /** What there was to lose when the transaction began; null where no statement can take anything away. */
    private readonly start: ReadonlyMap<number, Holding> | null,
    private now: ReadonlyMap<number, Holding> | null,
  ) {}

  /** True where statements of a file may take something away; a rollback's are all watched, whatever their kind. */
  static isNeeded(statements: Statement[], { everything, wanted }: Permits): boolean {
    return !everything && statements.some(s => wanted === 'archive' || droppedObjects(s).length > 0)
  }

  /** For the statements of a file. */
  static async open(
    tx: Db,
    file: SqlFile,
    statements: Statement[],
    permits: Permits,
  ): Promise<DestructionGuard> {
    const start = DestructionGuard.isNeeded(statements, permits) ? await seen(tx, file, statements[0]!) : null
    return new DestructionGuard(tx, file, permits, start, start)
  }

  /** False where the file can go to the server in one piece. */
  get watches(): boolean {
    return this.start !== null
  }

  /** Whether a relation is older than the transaction: what the file itself has made is no loss. */
  readonly existed = (oid: number): boolean => this.start?.has(oid) ?? true

  /** Sends a statement, or what is left of it. Throws DESTROYS_UNARCHIVED. */
  async run(
    statement: Statement,
    instead: ((statement: Statement) => Promise<Archived>) | null,
    send: (left: Statement) => Promise<unknown>,
  ): Promise<void> {
    const { left, keys } = (await instead?.(statement)) ?? { left: statement, keys: [] }
    const permitted = new Set([...this.permits.keys, ...keys])
    if (left) {
      if (this.watches)
        await refuseNamed(this.tx, this.file, left, { ...this.permits, keys: permitted }, this.existed)
      await send(left)
    }
    if (this.watches && (this.permits.wanted === 'archive' || droppedObjects(statement).length > 0))
      await this.refuseTaken(statement, permitted)
  }

  /** Before the commit: what constraint triggers have put off must not come after the last look. */
  async end(last: Statement | undefined): Promise<void> {
    if (!this.watches || !last) return
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
    const taken = takenBetween(before, now, statement.kind)
      .filter(({ holding: h }) => this.existed(h.oid) && !spared.has(tableText(h)))
      .filter(t => !permits(keys, t, before))
    if (taken.length > 0)
      throw failure(
        statement,
        this.file,
        taken.map(t => worded(t, wanted)),
        wanted,
      )
  }
}

/** Refuses a statement for what it names, as the catalog is now. Throws DESTROYS_UNARCHIVED. */
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
    const plain: Taken = {
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

/** What went between two looks. */
interface Gone {
  kind: 'table' | 'column' | 'rows'
  holding: Holding
  column: string | null
  /** Rows that were deleted; null where the table was emptied or written anew. */
  rows: number | null
}

/** Statements that write a table anew and keep its rows. */
const rewrites = new Set(['AlterTableStmt', 'ClusterStmt', 'VacuumStmt'])

/** Pure: the tables, columns and rows that are there in one look and not in the next. */
export function takenBetween(
  before: ReadonlyMap<number, Holding>,
  after: ReadonlyMap<number, Holding>,
  kind: string,
): Gone[] {
  const gone: Gone[] = []
  for (const holding of before.values()) {
    const now = after.get(holding.oid)
    if (!now) {
      gone.push({ kind: 'table', holding, column: null, rows: null })
      continue
    }
    for (const [number, column] of Object.entries(holding.columns))
      if (now.columns[number] === undefined) gone.push({ kind: 'column', holding, column, rows: null })
    const rows = now.deleted - holding.deleted
    if (rows > 0 && !movedBetweenPartitions(holding, before, after, kind))
      gone.push({ kind: 'rows', holding, column: null, rows })
    if (now.file !== holding.file && !rewrites.has(kind))
      gone.push({ kind: 'rows', holding, column: null, rows: null })
  }
  return gone
}

/** An UPDATE of a partition key deletes the row here and inserts it there. */
function movedBetweenPartitions(
  holding: Holding,
  before: ReadonlyMap<number, Holding>,
  after: ReadonlyMap<number, Holding>,
  kind: string,
): boolean {
  if (holding.root === holding.oid || !['UpdateStmt', 'MergeStmt'].includes(kind)) return false
  let balance = 0
  for (const then of before.values()) {
    const now = after.get(then.oid)
    if (then.root === holding.root && now)
      balance += now.inserted - then.inserted - (now.deleted - then.deleted)
  }
  return balance >= 0
}

/** Whether somebody archived or allowed it: by its own name, its partitioned table's or its schema's. */
function permits(keys: ReadonlySet<string>, gone: Gone, before: ReadonlyMap<number, Holding>): boolean {
  const { kind, holding, column } = gone
  return [holding, before.get(holding.root) ?? holding].some(
    h =>
      keys.has(keyOf(kind, column === null ? tableText(h) : columnText(h, column))) ||
      keys.has(keyOf('schema', partText(h.schema))),
  )
}

function worded({ kind, holding, column, rows }: Gone, wanted: Permits['wanted']): Taken {
  const table = tableText(holding)
  const object = column === null ? table : columnText(holding, column)
  const own =
    kind === 'table'
      ? `drop table ${table};`
      : kind === 'column'
        ? `alter table ${table} drop column ${partText(column!)};`
        : `delete from ${table} where ...;`
  return {
    object,
    what:
      kind === 'rows'
        ? rows === null
          ? `rows of ${table}`
          : `${rows} row(s) of ${table}`
        : `${kind} ${object}`,
    reason:
      kind === 'rows' && rows === null
        ? 'the statement empties it or writes it anew, and does not name it'
        : 'the statement does not name it',
    instead:
      `Do it by a statement of its own, above this one: ${own}` +
      (wanted === 'consent'
        ? ' Or say `--! hazard: DELETES_DATA` in the header. Then --allow DELETES_DATA'
        : ''),
  }
}

const failure = (statement: Statement, file: SqlFile, taken: Taken[], wanted: Permits['wanted']): Failure => {
  const { code, subject, facts } = refusal(statement, file, taken, wanted)
  return new Failure(code, subject, facts)
}

/** What there is to lose now. A server that does not count deleted rows can not say. */
async function seen(tx: Db, file: SqlFile, statement: Statement): Promise<ReadonlyMap<number, Holding>> {
  const now = await holdings(tx)
  if (now) return now
  const blind: Taken = {
    object: file.path,
    what: 'rows',
    reason: 'the server does not count deleted rows while track_counts is off',
    instead: 'alter system set track_counts = on; select pg_reload_conf();',
  }
  throw failure(statement, file, [blind], 'archive')
}
