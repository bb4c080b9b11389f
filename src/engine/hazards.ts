import type { HazardCode } from '../model/codes.js'
import type { Hazard, StatementLock } from '../model/plan.js'
import type { Lock } from '../model/report.js'
import type { Migration } from '../model/workspace.js'
import { type Node, pathName, relationName, type Statement, strings } from '../workspace/statements.js'
import { aside, type Known } from './known.js'
import { learn } from './learn.js'
import { foretoldLocks } from './locks.js'
import { rowWorkOf } from './rewrites.js'
import { widenings } from './widens_access.js'

/** What a file's statements can do, and the locks that they take. */
export interface Judged {
  hazards: Hazard[]
  locks: Lock[]
}

/** What the tool derives or keeps itself is not the application's data. */
const kept = /^(chat_private|rethread_archive)\./

/**
 * Pure but for what it adds to `known`: what the statements of one migration can do to the running
 * application and to data. Hazards of locks are the locks themselves (`locks.ts`); the rest is what locks
 * do not tell. Nobody uses yet what the plan has made, so locks on it are no hazard. `migration` is null
 * for a rollback file, which has no header to add to.
 */
export function judge(statements: Statement[], migration: Migration | null, known: Known): Judged {
  const found: Hazard[] = []
  const locks: Lock[] = []
  const note = (h: Hazard) => {
    if (!found.some(f => f.code === h.code && f.subject === h.subject && f.detail === h.detail)) found.push(h)
  }
  for (const [index, s] of statements.entries()) {
    const taken = foretoldLocks(s, known)
    locks.push(...locksOfStatement(index + 1, taken, known))
    if (taken === null) note(cannotTell(index + 1, s))
    for (const h of [...ofLocks(taken ?? []), ...rowWorkOf(s, known)])
      if (!known.made.has(h.subject) && !kept.test(h.subject)) note(h)
    for (const h of deletions(s, migration)) if (!kept.test(h.subject)) note(h)
    for (const w of widenings(s, statements, known)) note({ code: 'WIDENS_ACCESS', ...w })
    learn(known, s)
  }
  return { hazards: [...found, ...ofHeader(migration)], locks }
}

/**
 * The locks of one statement as a report has them; those on what the plan has made or the tool keeps are
 * left out.
 */
function locksOfStatement(statement: number, taken: StatementLock[] | null, known: Known): Lock[] {
  if (taken === null) return [{ statement, table: null, mode: 'UNKNOWN', blocks: 'nothing', heldMs: null }]
  return taken
    .filter(l => !known.made.has(l.table) && !aside.test(l.table))
    .map(({ table, mode, blocks }) => ({ statement, table, mode, blocks, heldMs: null }))
}

/** Whoever waits for a lock is what makes it a hazard. */
const ofLocks = (locks: StatementLock[]): Hazard[] =>
  locks
    .filter(l => l.blocks !== 'nothing')
    .map(l => ({
      code: l.blocks === 'writes' ? 'BLOCKS_WRITES' : 'LOCKS_TABLE',
      subject: l.table,
      detail: `${l.by} takes ${l.mode}: ${l.blocks} wait while it is held or waited for`,
    }))

const cannotTell = (statement: number, { text }: Statement): Hazard => ({
  code: 'CANNOT_TELL',
  subject: `statement ${statement}`,
  detail: `${text.split('\n')[0]!.slice(0, 60)}: only running it tells what it locks and changes; write it above: \`-- locks: <schema.table> <MODE>\` for each table, or \`-- locks: none\``,
})

function ofHeader(migration: Migration | null): Hazard[] {
  if (!migration) return []
  const ends: Hazard[] = migration.endsOldApp
    ? [{ code: 'ENDS_OLD_APP', subject: migration.name, detail: migration.endsOldApp }]
    : []
  return [
    ...ends,
    ...migration.hazards.map((code: HazardCode) => ({
      code,
      subject: migration.backfill?.table ?? migration.name,
      detail: migration.title,
    })),
  ]
}

/**
 * What a statement deletes; a quarantining backfill deletes what it has copied, and its own hazard says so.
 */
function deletions(s: Statement, migration: Migration | null): Hazard[] {
  const quarantines = migration?.hazards.includes('QUARANTINES_ROWS') ?? false
  return [
    ...droppedTables(s),
    ...droppedColumns(s),
    ...truncatedTables(s),
    ...(quarantines ? [] : deletedRows(s)),
  ].map(([subject, detail]) => ({ code: 'DELETES_DATA', subject: subject!, detail: detail! }))
}

const droppedTables = ({ kind, node }: Statement): string[][] =>
  kind === 'DropStmt' && node.removeType === 'OBJECT_TABLE'
    ? node.objects.map((o: Node) => [pathName(strings([o])), `drops table ${pathName(strings([o]))}`])
    : []

function droppedColumns({ kind, node }: Statement): string[][] {
  if (kind !== 'AlterTableStmt' || node.objtype !== 'OBJECT_TABLE') return []
  const table = relationName(node.relation)
  return node.cmds
    .filter((c: Node) => c.AlterTableCmd.subtype === 'AT_DropColumn')
    .map((c: Node) => [`${table}.${c.AlterTableCmd.name}`, `drops column ${table}.${c.AlterTableCmd.name}`])
}

const truncatedTables = ({ kind, node }: Statement): string[][] =>
  kind === 'TruncateStmt'
    ? node.relations.map((r: Node) => [relationName(r.RangeVar), 'TRUNCATE empties the table'])
    : []

const deletedRows = ({ kind, node }: Statement): string[][] =>
  kind === 'DeleteStmt' ? [[relationName(node.relation), 'DELETE']] : []
