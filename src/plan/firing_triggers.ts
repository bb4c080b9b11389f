import { relationFacts } from '../database/catalog.sql.js'
import { functionsNamed, type Known, knownOf } from '../database/known.js'
import { scopeOf } from '../database/scopes.js'
import type { Db } from '../database/types.js'
import {
  type Node,
  parseStatements,
  relationName,
  type Statement,
  statementsOrNone,
  strings,
} from '../files/statements.js'
import { objectsOf } from '../files/track_objects.js'
import { needsConsent } from '../model/codes.js'
import { Failure } from '../model/failure.js'
import type { Consent, Hazard } from '../model/plan.js'
import type { Migration, Track } from '../model/project.js'
import { dottedText, namesIn } from '../model/table_name.js'
import type { Run } from '../run/run.js'
import {
  holdTriggersSql,
  mayHoldTriggers,
  rowSecurityActive,
  rulesFiredBy,
  type Trigger,
  type TriggerEvent,
  triggersFiredBy,
} from './firing_triggers.sql.js'
import { learnStatement } from './learn_changes.js'
import { isNoteFunction } from './note_functions.js'
import { triggersAfter } from './triggers_after.js'

/** The application's triggers and rules that the writes of a backfill fire. */
export interface FiringTriggers {
  /** The table that the backfill writes. */
  table: string
  /** Estimated number of rows of the table; null if it was never analyzed. */
  rows: number | null
  /** Each with its function: `chats_updated_at (public.update_updated_at)`. */
  triggers: string[]
  /** The same with their definitions. */
  fired: Trigger[]
  /** Why the backfill's sessions cannot hold them off; null if they can. */
  whyNotHeld: string | null
}

/**
 * The triggers of the application that a backfill would fire: the event and the columns match, and WHEN
 * does not rule it out. Null if it fires none. The track's own triggers are part of the migration and do
 * not count. The catalog is read first; then come the changes that the migrations `before` will make.
 */
export async function firingTriggers(
  sql: Db,
  track: Track,
  migration: Migration,
  before: Migration[] = [],
): Promise<FiringTriggers | null> {
  const [statement] = await parseStatements(migration.file.text)
  if (!migration.backfill || !statement?.node.relation) return null
  const table = relationName(statement.node.relation)
  const { events, columns } = firedBy(statement)
  const { triggers: made } = await objectsOf(track)
  const own: Trigger[] = []
  const theirs: Trigger[] = []
  const earlier: Statement[] = []
  for (const m of before) earlier.push(...(await statementsOrNone(m.file.text)))
  const known = await knownOf(sql, [statement, ...earlier])
  for (const s of earlier) learnStatement(known, s)
  const bound = {
    columns,
    emptyBefore: emptyBefore(statement),
    emptied: emptied(statement),
    opened: openTables(known, earlier),
  }
  const fired = await triggersFiredBy(sql, table, events, columns)
  for (const t of triggersAfter(earlier, fired, { tables: known.family(table), events, columns })) {
    if (await isRuledOut(sql, t, events, bound)) continue
    const ours =
      /^(chat_private|rethread_archive|rethread)\./.test(t.function) ||
      made.some(m => m.table === t.table && m.name === t.name)
    ;(ours ? own : theirs).push(t)
  }
  theirs.push(...(await rulesFiredBy(sql, table, events)))
  const firing = theirs.filter(t => t.enabled !== 'R')
  if (firing.length === 0) return null
  const [facts] = await relationFacts(sql, [table])
  const whyNotHeld =
    whyNotByKind(statement) ??
    whyNotByTriggers(own, theirs) ??
    whyNotByKeys(known, table, bound) ??
    (await whyNotByFunctions(track, known, statement)) ??
    ((await mayHoldTriggers(scopeOf(sql)))
      ? null
      : `this role may not: grant set on parameter session_replication_role to ${facts!.role};   as an administrator (PostgreSQL 15 or later)`)
  return {
    table,
    rows: facts && facts.rows >= 0 ? facts.rows : null,
    triggers: firing.map(t => `${t.name} (${t.function})`),
    fired: firing,
    whyNotHeld,
  }
}

/** The events and columns of a statement for which triggers fire. */
function firedBy({ kind, node }: Statement): { events: TriggerEvent[]; columns: string[] } {
  const columnsOf = (target: Node) => (target.targetList ?? []).map((t: Node) => t.ResTarget?.name ?? '')
  if (kind === 'UpdateStmt') return { events: ['UPDATE'], columns: columnsOf(node) }
  if (kind === 'DeleteStmt') return { events: ['DELETE'], columns: [] }
  const conflict = node.onConflictClause
  return conflict?.action === 'ONCONFLICT_UPDATE'
    ? { events: ['INSERT', 'UPDATE'], columns: columnsOf(conflict) }
    : { events: ['INSERT'], columns: [] }
}

/**
 * With session_replication_role = replica, foreign keys are not checked and do not cascade. Only an UPDATE
 * that sets no key column is safe without them.
 */
const whyNotByKind = ({ kind, node }: Statement): string | null =>
  kind !== 'UpdateStmt'
    ? 'it adds or removes rows, and foreign keys would not be looked after'
    : node.withClause
      ? 'it writes more than one table, and foreign keys would not be looked after'
      : null

function whyNotByTriggers(own: Trigger[], theirs: Trigger[]): string | null {
  const mine = own.find(t => t.enabled === 'O')
  if (mine) return `${mine.name} of the track has to fire`
  const anyway = theirs.find(t => t.enabled !== 'O')
  return anyway
    ? `${anyway.name} is enabled ${anyway.enabled === 'A' ? 'always' : 'for replicas'}: it fires there too`
    : null
}

function whyNotByKeys(known: Known, table: string, { columns, emptied }: Bound): string | null {
  const key = known.foreignKeys.find(k => {
    // a foreign key of one column does not check a null
    const checked = k.columns.length === 1 ? columns.filter(c => !emptied.includes(c)) : columns
    return (
      (k.table === table && k.columns.some(c => checked.includes(c))) ||
      (k.references === table && k.referenced.some(c => columns.includes(c)))
    )
  })
  return key ? `it sets a column of the foreign key ${key.name}, which would not be looked after` : null
}

async function whyNotByFunctions(track: Track, known: Known, statement: Statement): Promise<string | null> {
  const named = functionsNamed([statement])
  for (const [asked, { acts }] of known.functions)
    if (acts && named.has(asked) && !(await isNoteFunction(track, asked)))
      return `its function ${asked} may write other tables`
  return null
}

/** What is known about the rows that an UPDATE writes. */
interface Bound {
  /** The columns that it sets. */
  columns: string[]
  /** Columns that are null in every row that it updates. */
  emptyBefore: string[]
  /** Columns that it sets to null. */
  emptied: string[]
  /** Tables that will exist by then and whose row security does not apply to the role that creates them. */
  opened: ReadonlySet<string>
}

/** Tables that earlier files create, without those that FORCE ROW LEVEL SECURITY or get another owner. */
function openTables(known: Known, earlier: Statement[]): ReadonlySet<string> {
  const found = new Set(known.made)
  for (const { kind, node } of earlier)
    if (kind === 'AlterTableStmt')
      for (const { AlterTableCmd: cmd } of node.cmds)
        if (['AT_ForceRowSecurity', 'AT_ChangeOwner'].includes(cmd.subtype))
          found.delete(relationName(node.relation))
  return found
}

/** Whether the trigger's WHEN is false for all rows that this role's backfill writes. */
async function isRuledOut(
  sql: Db,
  { definition }: Trigger,
  events: TriggerEvent[],
  bound: Bound,
): Promise<boolean> {
  if (events.some(e => e !== 'UPDATE')) return false
  const [made] = await parseStatements(definition)
  return made?.node.whenClause ? isFalse(sql, made.node.whenClause, bound) : false
}

/** Whether a WHEN condition, or a part of it, is false for every row that the update writes. */
async function isFalse(sql: Db, node: Node, bound: Bound): Promise<boolean> {
  const { BoolExpr: bool, A_Expr: compared, NullTest: nullTest, FuncCall: call } = node
  if (bool) {
    const each: boolean[] = []
    for (const part of bool.args) each.push(await isFalse(sql, part, bound))
    return bool.boolop === 'AND_EXPR'
      ? each.some(Boolean)
      : bool.boolop === 'OR_EXPR'
        ? each.every(Boolean)
        : false
  }
  if (nullTest) {
    const [row, column, more] = strings(nullTest.arg?.ColumnRef?.fields)
    if (nullTest.nulltesttype !== 'IS_NOT_NULL' || !column || more) return false
    return (row === 'old' ? bound.emptyBefore : row === 'new' ? bound.emptied : []).includes(column)
  }
  if (call) {
    // PostgreSQL prints the argument as ('public.t'::regclass)::oid
    let [table] = call.args ?? []
    while (table?.TypeCast) table = table.TypeCast.arg
    table = table?.A_Const?.sval?.sval
    // search_path is empty, so a name without a schema is in pg_catalog
    if (strings(call.funcname).join('.') !== 'row_security_active' || !table) return false
    const names = namesIn(table)
    return bound.opened.has(names ? dottedText(names) : '') || (await rowSecurityActive(sql, table)) === false
  }
  return compared ? staysAsItIs(compared, bound.columns) : false
}

/** Whether a comparison of OLD and NEW is about a column that the update does not set. */
function staysAsItIs(compared: Node, columns: string[]): boolean {
  const differs =
    compared.kind === 'AEXPR_DISTINCT' ||
    (compared.kind === 'AEXPR_OP' && ['<>', '!='].includes(strings(compared.name)[0] ?? ''))
  const sides = [compared.lexpr, compared.rexpr].map(side => strings(side?.ColumnRef?.fields))
  const [left, right] = sides
  return (
    differs &&
    left!.length === 2 &&
    right!.length === 2 &&
    left![1] === right![1] &&
    new Set([left![0], right![0]]).size === 2 &&
    !columns.includes(left![1]!)
  )
}

/** Columns that an update sets to null in every row. */
const emptied = ({ kind, node }: Statement): string[] =>
  kind !== 'UpdateStmt'
    ? []
    : node.targetList.flatMap(({ ResTarget: t }: Node) => (t?.val?.A_Const?.isnull ? [t.name] : []))

/**
 * Columns that must be null according to WHERE: `c.x is null`, `coalesce(c.x, ...) is distinct from c.x`.
 */
function emptyBefore({ kind, node }: Statement): string[] {
  if (kind !== 'UpdateStmt' || !node.whereClause) return []
  const alias = node.relation.alias?.aliasname ?? node.relation.relname
  const own = (side: Node | undefined): string | null => {
    const [table, column, more] = strings(side?.ColumnRef?.fields)
    return table === alias && column && !more ? column : null
  }
  const of = (part: Node): (string | null)[] => {
    const { BoolExpr: bool, NullTest: nullTest, A_Expr: compared } = part
    if (bool) return bool.boolop === 'AND_EXPR' ? bool.args.flatMap(of) : []
    if (nullTest) return nullTest.nulltesttype === 'IS_NULL' ? [own(nullTest.arg)] : []
    if (compared?.kind !== 'AEXPR_DISTINCT') return []
    // COALESCE returns its first argument, the column, unless that is null
    const column = own(compared.rexpr)
    return column === own(compared.lexpr?.CoalesceExpr?.args?.[0]) ? [column] : []
  }
  return of(node.whereClause).filter(column => column !== null)
}

/** The hazard of the triggers that a step's backfill fires. Empty if they are held off. */
export const triggerHazards = (firing: FiringTriggers | null, hold: boolean): Hazard[] =>
  firing === null || (hold && firing.whyNotHeld === null)
    ? []
    : [
        {
          code: 'FIRES_TRIGGERS',
          subject: firing.table,
          detail:
            `for each of ${firing.rows === null ? 'its' : `about ${firing.rows}`} rows: ${firing.triggers.join(', ')}` +
            (hold ? `; they cannot be held off: ${firing.whyNotHeld}` : ''),
        },
      ]

/**
 * The SQL that the writing sessions of a backfill start with: empty, or one that holds off triggers of users.
 * Throws CONSENT_NEEDED if triggers of the application would fire and nobody has allowed it.
 */
export async function backfillSettings(
  { ctx, writer }: Run,
  migration: Migration,
  consent: Consent,
): Promise<string> {
  const track = ctx.tracks().find(t => t.name === migration.track)
  const firing = track ? await firingTriggers(writer.sql, track, migration) : null
  const hazards = triggerHazards(firing, ctx.holdTriggers)
  const asked = hazards.length > 0 && needsConsent('FIRES_TRIGGERS', consent.from ?? 'outage')
  if (asked && !consent.allow.has('FIRES_TRIGGERS'))
    throw new Failure('CONSENT_NEEDED', migration.name, {
      allow: [...consent.allow, 'FIRES_TRIGGERS'],
      missing: ['FIRES_TRIGGERS'],
      confirm: null,
      because: hazards.map(h => `FIRES_TRIGGERS: ${migration.name}: ${h.detail}`),
    })
  return firing !== null && hazards.length === 0 ? holdTriggersSql : ''
}
