import { createHash } from 'node:crypto'
import type { Connection } from '../database/connection.js'
import { setLocal } from '../database/connection.sql.js'
import { type Context, connect } from '../database/context.js'
import { isRefused, serverFault } from '../database/faults.js'
import { knownOf } from '../database/known.js'
import { takenBack, transaction } from '../database/scopes.js'
import type { Db } from '../database/types.js'
import { firstLine } from '../files/lint.js'
import { pairsIn, type QualifiedName } from '../files/moved_names.js'
import { lineOf, type Statement } from '../files/statements.js'
import type { Migration, Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { sendText } from '../run/execute_file.sql.js'
import { learnStatement } from './learn_changes.js'
import { foretoldLocks } from './statement_locks.js'
import { isNeedless, madeBy, onTwin } from './twin_statements.js'
import { createSchema, createTwin, eventTriggerFunctions, type Original, originalsOf } from './twins.sql.js'

/** Longest statement on the twins, in milliseconds: they are empty. */
const twinStatementMs = 5000
/** Nobody waits for the twins; a wait for something else ends the rehearsal. */
const twinLockMs = 50

/**
 * What a fault on a twin says of the real run: it would fail too. Everything else may be the twins' own:
 * names and grants that they do not have, or a server that is busy.
 */
const telling = /^(42804|42809|42703|42883|42846|42830|42P17|42P16|42611|0A000|22P02|42803|42P10|42P01)$/
/**
 * SQLSTATE of what an object does not allow: a key that can be deferred, as the target of a foreign key. Of a
 * statement that writes it may be the twins' own, such as a replica identity that they do not have.
 */
const notThatWay = '55000'

/** Faults that may also follow from a statement that was left out. */
const mayFollow = /^(42703|42883|42P01|42P10)$/

/** A pending file and what is in it. */
export interface FileOfStatements {
  migration: Migration
  statements: Statement[]
}

/**
 * Runs the statements of pending files on empty twins of the tables that they name, in schemas of their own
 * and one transaction that is rolled back: what the server would refuse later shows before the first step.
 * The tables themselves are only looked at (ACCESS SHARE). The findings say where a file would fail, or why
 * nobody could find out.
 */
export async function rehearseOnTwins(
  ctx: Context,
  track: Track,
  files: FileOfStatements[],
): Promise<Finding[]> {
  const pairs: QualifiedName[] = []
  for (const { migration } of files) pairs.push(...(await pairsIn(migration.file.text)))
  await using connection = await connect(ctx, 'writer')
  const originals = await originalsOf(connection.sql, unique(pairs))
  // nothing of the application is touched: there is nothing that could differ from what the files expect
  if (originals.length === 0) return []
  const known = await knownOf(
    connection.sql,
    files.flatMap(f => f.statements),
  )
  const moved = new Set([...originals, ...files.flatMap(f => f.statements.flatMap(madeBy))].map(pairKey))
  const schemaFor = (schema: string, name: string) =>
    moved.has(pairKey({ schema, name })) ? twinSchema(schema) : null
  const script: { migration: Migration; statement: Statement; text: string }[] = []
  let whole = true
  for (const { migration, statements } of files)
    for (const statement of statements) {
      const locks = foretoldLocks(statement, known)
      learnStatement(known, statement)
      // names in a text that is put together are not moved
      const dynamic =
        locks === null ||
        (statement.kind === 'DoStmt' && (locks.length > 0 || /\bexecute\b/i.test(statement.text)))
      const text = dynamic ? null : await onTwin(statement, schemaFor)
      if (text !== null) script.push({ migration, statement, text })
      else if (dynamic || !isNeedless(statement)) whole = false
    }
  const eventTriggers = await eventTriggerFunctions(connection.sql)
  for (let rounds = 0; rounds < mostRounds; rounds++) {
    const stopped = await play(
      connection,
      originals,
      [...moved],
      script.map(s => s.text),
    )
    if (stopped === null) return []
    const { at, fault } = stopped
    const failed = script[at]
    const raising = raisedBy(fault.where, eventTriggers)
    if (raising)
      return [
        finding('EVENT_TRIGGER_RAISES', raising, {
          sql: failed ? firstLine(failed.statement.text) : 'create table',
          sqlstate: fault.code,
          reason: fault.message,
        }),
      ]
    if (!failed) return [finding('NOT_REHEARSED', track.name, { reason: `${fault.code}: ${fault.message}` })]
    const tells =
      telling.test(fault.code) || (fault.code === notThatWay && failed.statement.kind === 'AlterTableStmt')
    if (tells && (whole || !mayFollow.test(fault.code)))
      return [wouldFail(failed.migration, failed.statement, fault)]
    script.splice(at, 1)
    whole = false
  }
  return [
    finding('NOT_REHEARSED', track.name, { reason: 'too much of it needs what the copies do not have' }),
  ]
}

/** What the server said of a statement on the twins. */
interface TwinFault {
  code: string
  message: string
  /** The functions that were at work, innermost first, as the server writes them. */
  where?: string
}

/** The event trigger whose function has raised a fault; null where none has. */
const raisedBy = (where: string | undefined, triggers: { name: string; function: string }[]): string | null =>
  triggers.find(t => where?.includes(`function ${t.function}(`) || where?.includes(`.${t.function}(`))
    ?.name ?? null

/** How often the rehearsal begins again without a statement that only the twins refuse. */
const mostRounds = 8

/**
 * Makes the twins and sends the texts, in one transaction that is rolled back: one transaction id, as no
 * statement has a savepoint of its own. Which one failed, -1 where there were no twins; null where none did.
 */
async function play(
  connection: Connection,
  originals: Original[],
  moved: string[],
  texts: string[],
): Promise<{ at: number; fault: TwinFault } | null> {
  let at = -1
  try {
    await takenBack(transaction(connection.sql), async tx => {
      await setLocal(tx, twinLockMs, twinStatementMs)
      await makeTwins(tx, originals, moved)
      for (const text of texts) {
        at++
        await sendText(tx, text)
      }
    })
    return null
  } catch (error) {
    if (!isRefused(error)) throw error
    return { at, fault: serverFault(error)! }
  }
}

async function makeTwins(tx: Db, originals: Original[], moved: string[]): Promise<void> {
  const schemas = new Set(moved.map(key => twinSchema(key.split('\0')[0]!)))
  for (const schema of schemas) await createSchema(tx, schema)
  for (const original of originals) await createTwin(tx, original, twinSchema(original.schema))
}

/** Where the twins of a schema's tables are. */
const twinSchema = (schema: string): string => {
  const name = `rethread_twin_${schema}`
  // a longer name would be cut, and two could be cut to the same
  return Buffer.byteLength(name) <= 63
    ? name
    : `rethread_twin_${createHash('sha256').update(schema).digest('hex').slice(0, 32)}`
}

const pairKey = ({ schema, name }: QualifiedName): string => `${schema}\0${name}`

const unique = (names: QualifiedName[]): QualifiedName[] => [
  ...new Map(names.map(n => [pairKey(n), n])).values(),
]

function wouldFail(
  { file }: Migration,
  s: Statement,
  { code, message }: { code: string; message: string },
): Finding {
  return finding('WOULD_FAIL', `${file.path}:${lineOf(file.text, s.offset).line}`, {
    sql: firstLine(s.text),
    sqlstate: code,
    // the reader knows no twin
    reason: message.replaceAll('rethread_twin_', ''),
  })
}
