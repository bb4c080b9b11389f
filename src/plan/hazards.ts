import { aside, type Known } from '../database/known.js'
import { type DroppedObject, droppedObjects, objectText, setsAside } from '../files/dropped_objects.js'
import type { Statement } from '../files/statements.js'
import type { HazardCode } from '../model/codes.js'
import type { Hazard, StatementLock } from '../model/plan.js'
import type { Migration } from '../model/project.js'
import type { Lock } from '../model/report.js'
import { learnStatement } from './learn_changes.js'
import { rowWorkOf } from './rewrites.js'
import { foretoldLocks } from './statement_locks.js'
import { widenings } from './widens_access.js'

/** The hazards of a file's statements, and their locks. */
export interface Judged {
  hazards: Hazard[]
  locks: Lock[]
}

/** Schemas of data that the tool derives or keeps. It is not the application's data. */
const kept = /^(chat_private|rethread_archive)\./

/**
 * Judges what the statements of one migration can do to the running application and to data. It adds what
 * they create to `known`, and has no other side effect. The locks that a statement takes give the hazards
 * of locks. Objects that the plan itself creates have no users yet, so locks on them are no hazard.
 * `migration` is null for a rollback file, which has no header. `spared` names tables with nothing to lose.
 */
export function judgeStatements(
  statements: Statement[],
  migration: Migration | null,
  known: Known,
  spared: ReadonlySet<string> = new Set(),
): Judged {
  const found: Hazard[] = []
  const locks: Lock[] = []
  // a quarantining backfill deletes rows that it has copied; QUARANTINES_ROWS reports that
  const quarantines = migration?.hazards.includes('QUARANTINES_ROWS') ?? false
  const note = (h: Hazard) => {
    if (!found.some(f => f.code === h.code && f.subject === h.subject && f.detail === h.detail)) found.push(h)
  }
  for (const [index, s] of statements.entries()) {
    const taken = foretoldLocks(s, known)
    locks.push(...locksOfStatement(index + 1, taken, known))
    if (taken === null) note(cannotTell(index + 1, s))
    for (const h of [...ofLocks(taken ?? []), ...rowWorkOf(s, known)])
      if (!known.made.has(h.subject) && !kept.test(h.subject)) note(h)
    for (const h of deletions(s))
      if (!spared.has(h.subject) && !(quarantines && setsAside(migration, s, h.subject))) note(h)
    for (const w of widenings(s, statements, known)) note({ code: 'WIDENS_ACCESS', ...w })
    learnStatement(known, s)
  }
  return { hazards: [...found, ...ofHeader(migration)], locks }
}

/**
 * The locks of one statement, as a report lists them. Tables that the plan creates or the tool keeps are
 * left out.
 */
function locksOfStatement(statement: number, taken: StatementLock[] | null, known: Known): Lock[] {
  if (taken === null) return [{ statement, table: null, mode: 'UNKNOWN', blocks: 'nothing', heldMs: null }]
  return taken
    .filter(l => !known.made.has(l.table) && !aside.test(l.table) && !kept.test(l.table))
    .map(({ table, mode, blocks }) => ({ statement, table, mode, blocks, heldMs: null }))
}

/** A lock is a hazard if it makes others wait. */
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
  detail: `${text.split('\n')[0]!.slice(0, 60)}: only running it shows what it locks and changes; write it above: \`-- locks: <schema.table> <MODE>\` for each table, or \`-- locks: none\``,
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

/** The objects that a statement deletes by name. Deletions that only show when it runs are refused then. */
function deletions(s: Statement): Hazard[] {
  return droppedObjects(s).flatMap(o => {
    const detail = deletion(o)
    return detail === null
      ? []
      : objectText(o).map(subject => ({ code: 'DELETES_DATA', subject, detail: `${detail} ${subject}` }))
  })
}

/** The verb of a deletion. Null if the statement deletes no data. */
function deletion(o: DroppedObject): string | null {
  switch (o.kind) {
    case 'table':
    case 'column':
    case 'database':
      return `drops ${o.kind}`
    case 'schema':
      return 'drops everything in schema'
    case 'rows':
      return o.kept ? null : o.by === 'TRUNCATE' ? 'TRUNCATE empties' : `${o.by} removes rows of`
    default:
      return null
  }
}
