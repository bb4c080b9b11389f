import type { Connection } from '../database/connection.js'
import { setLocal, setParameter } from '../database/connection.sql.js'
import { type Context, connect } from '../database/context.js'
import { isRefused, serverFault } from '../database/faults.js'
import { knownOf } from '../database/known.js'
import { type Scope, savepoint, takenBack, transaction } from '../database/scopes.js'
import type { Db } from '../database/types.js'
import { firstLine } from '../files/lint.js'
import { movedNames, pairsIn, type QualifiedName } from '../files/moved_names.js'
import { lineOf, type Statement } from '../files/statements.js'
import type { Migration, Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { sendText } from '../run/execute_file.sql.js'
import { learnStatement } from './learn_changes.js'
import { foretoldLocks } from './statement_locks.js'
import { isDynamic, isNeedless, madeBy, onTwin, twinSchema } from './twin_statements.js'
import { createSchema, createTwin, eventTriggerFunctions, type Original, originalsOf } from './twins.sql.js'

/** Time limit of a statement on the twins, in milliseconds. Twins are empty. */
const twinStatementMs = 5000
/** Lock timeout in milliseconds. Nobody else locks twins; a wait for another object ends the rehearsal. */
const twinLockMs = 50

/**
 * SQLSTATEs that the real run would also raise. Others may be due to the twins, which lack names and grants.
 */
const sameThere =
  /^(42804|42809|42703|42883|42846|42830|42P17|42P16|42611|0A000|22P02|42803|42P10|42P01|54011)$/
/** SQLSTATEs that may also be caused by a statement that was left out. */
const mayFollow = /^(42703|42883|42P01|42P10)$/

/** A published table without a replica identity refuses these. A twin of an existing table has one. */
const isChange = ({ kind }: Statement): boolean => kind === 'UpdateStmt' || kind === 'DeleteStmt'

/**
 * SQLSTATE of a property that does not allow the operation, such as a deferrable key as the target of a
 * foreign key.
 */
const notThatWay = '55000'

/** A pending file with its statements. */
export interface FileOfStatements {
  migration: Migration
  statements: Statement[]
}

/**
 * A question to the database in the state after the pending files, in their transaction. `asMade` replaces
 * the names of objects that the files create. Other names stay those of the application.
 */
export type Question = (scope: Scope, asMade: (text: string) => Promise<string>) => Promise<boolean>

/** The result of a rehearsal. */
export interface TwinAnswers {
  findings: Finding[]
  /** The answer to each question in order, or the reason that there is none. */
  answers: (boolean | string)[]
}

/**
 * Runs the statements of pending files on empty twins of the tables that they name, in schemas of their own
 * and one transaction that is rolled back: what the server would refuse later shows before the first step.
 * The tables themselves are only looked at (ACCESS SHARE). The findings say where a file would fail, or why
 * nobody could find out. Questions are asked when all files have run.
 */
export async function rehearseOnTwins(
  ctx: Context,
  track: Track,
  files: FileOfStatements[],
  questions: Question[],
): Promise<TwinAnswers> {
  const without = (reason: string, ...findings: Finding[]): TwinAnswers => ({
    findings,
    answers: questions.map(() => reason),
  })
  const pairs: QualifiedName[] = []
  for (const { migration } of files) pairs.push(...(await pairsIn(migration.file.text)))
  await using connection = await connect(ctx, 'writer')
  const originals = await originalsOf(connection.sql, unique(pairs))
  // nothing of the application is touched: there is nothing that could differ from what the files expect
  if (originals.length === 0) return without('the files name no table of the application')
  const known = await knownOf(
    connection.sql,
    files.flatMap(f => f.statements),
  )
  const moved = new Set([...originals, ...files.flatMap(f => f.statements.flatMap(madeBy))].map(pairKey))
  const schemaFor = (schema: string, name: string) =>
    moved.has(pairKey({ schema, name })) ? twinSchema(schema) : null
  const madeFunctions = new Set(
    files
      .flatMap(f => f.statements.filter(s => s.kind === 'CreateFunctionStmt').flatMap(madeBy))
      .map(f => f.schema),
  )
  const script: { migration: Migration; statement: Statement; text: string }[] = []
  const leftOut: string[] = []
  const untried: Finding[] = []
  /** What was left out from the beginning, with the place of the statement that follows. */
  const nearest: { before: number; text: string }[] = []
  for (const { migration, statements } of files)
    for (const statement of statements) {
      const locks = foretoldLocks(statement, known)
      learnStatement(known, statement)
      const dynamic = isDynamic(statement, locks)
      const text = dynamic ? null : await onTwin(statement, schemaFor, madeFunctions)
      if (text !== null) script.push({ migration, statement, text })
      else if (dynamic || !isNeedless(statement)) {
        leftOut.push(statement.text)
        nearest.push({ before: script.length, text: statement.text })
      }
    }
  /** What statements make that only the twins refuse. */
  const notMade = new Set<string>()
  const eventTriggers = await eventTriggerFunctions(connection.sql)
  const asMade = namesOfMade(files, originals, leftOut)
  let answers: TwinAnswers['answers'] = []
  for (let rounds = 0; rounds < mostRounds; rounds++) {
    const stopped = await play(
      connection,
      originals,
      [...moved],
      script.map(s => s.text),
      async tx => {
        answers = []
        for (const question of questions) answers.push(await answered(tx, question, asMade))
      },
    )
    if (stopped === null) return { findings: untried, answers }
    const { at, fault } = stopped
    const failed = script[at]
    const said = `${fault.code}: ${fault.message}`
    const raising = raisedBy(fault.where, eventTriggers)
    if (raising) {
      const sql = failed ? firstLine(failed.statement.text) : 'create table'
      return without(
        said,
        finding('EVENT_TRIGGER_RAISES', raising, { sql, sqlstate: fault.code, reason: fault.message }),
      )
    }
    if (!failed) return without(said, finding('NOT_REHEARSED', track.name, { reason: said }))
    const { statement } = failed
    const follows =
      mayFollow.test(fault.code) && (await pairsIn(statement.text)).some(p => notMade.has(pairKey(p)))
    const holdsThere =
      !follows &&
      (sameThere.test(fault.code) ||
        (fault.code === notThatWay && (isChange(statement) || statement.kind === 'AlterTableStmt')))
    if (holdsThere && (leftOut.length === 0 || !mayFollow.test(fault.code)))
      return without(said, wouldFail(failed.migration, statement, fault))
    if (holdsThere)
      untried.push(
        notTried(
          failed.migration,
          statement,
          fault,
          nearest.filter(n => n.before <= at).at(-1)?.text ?? leftOut[0]!,
        ),
      )
    if (!holdsThere) for (const key of madeBy(statement).map(pairKey)) notMade.add(key)
    leftOut.push(...script.splice(at, 1).map(s => s.statement.text))
  }
  const reason = 'too much of it needs what the copies do not have'
  return without(reason, ...untried, finding('NOT_REHEARSED', track.name, { reason }))
}

/** The server's error for a statement on the twins. */
interface TwinFault {
  code: string
  message: string
  /** The CONTEXT of the error: the functions that were running, innermost first. */
  where?: string
}

/** The event trigger whose function raised the error; null if none did. */
const raisedBy = (where: string | undefined, triggers: { name: string; function: string }[]): string | null =>
  triggers.find(t => where?.includes(`function ${t.function}(`) || where?.includes(`.${t.function}(`))
    ?.name ?? null

/** How often the rehearsal starts again without a statement that only the twins refuse. */
const mostRounds = 16

/**
 * Creates the twins, sends the texts and asks the questions, in one transaction that is rolled back. Returns
 * the index of the text that failed, -1 if the twins could not be created; null if nothing failed. No
 * statement has a savepoint, so only one transaction id is used.
 */
async function play(
  connection: Connection,
  originals: Original[],
  moved: string[],
  texts: string[],
  ask: (tx: Db) => Promise<void>,
): Promise<{ at: number; fault: TwinFault } | null> {
  let at = -1
  try {
    await takenBack(transaction(connection.sql), async tx => {
      await setLocal(tx, twinLockMs, twinStatementMs)
      // notices would name twins, which the user does not know
      await setParameter(tx, 'client_min_messages', 'warning')
      await makeTwins(tx, originals, moved)
      for (const text of texts) {
        at++
        await sendText(tx, text)
      }
      at = texts.length
      await ask(tx)
    })
    return null
  } catch (error) {
    if (!isRefused(error)) throw error
    return { at, fault: serverFault(error)! }
  }
}

/** The answer of the database, or the reason that there is none. */
async function answered(tx: Db, question: Question, asMade: Parameters<Question>[1]) {
  try {
    return await question(savepoint(tx), asMade)
  } catch (error) {
    if (error instanceof Unanswerable) return error.message
    if (!isRefused(error)) throw error
    const { code, message } = serverFault(error)!
    return `${code}: ${message.replaceAll('rethread_twin_', '')}`
  }
}

/** The twins would answer differently from the database. */
class Unanswerable extends Error {}

/**
 * Returns a function that replaces the names of created objects in a text. It throws `Unanswerable` for a
 * call of a function that reads a table of the application, which is empty as a twin, or of a function that
 * was changed by a statement which was left out.
 */
function namesOfMade(
  files: FileOfStatements[],
  originals: Original[],
  leftOut: string[],
): Parameters<Question>[1] {
  const there = new Set(originals.map(pairKey))
  const made = new Set<string>()
  const bodies = new Map<string, string>()
  for (const statement of files.flatMap(f => f.statements))
    for (const key of madeBy(statement).map(pairKey)) {
      made.add(key)
      if (statement.kind === 'CreateFunctionStmt') bodies.set(key, statement.text)
    }
  const judge = async (text: string, seen: Set<string>): Promise<void> => {
    for (const pair of await pairsIn(text)) {
      const key = pairKey(pair)
      const body = bodies.get(key)
      if (body === undefined || seen.has(key)) continue
      seen.add(key)
      const table = (await pairsIn(body)).find(p => there.has(pairKey(p)))
      if (table)
        throw new Unanswerable(`${pair.schema}.${pair.name}() reads ${table.schema}.${table.name} by itself`)
      for (const text of leftOut)
        if ((await pairsIn(text)).some(p => pairKey(p) === key))
          throw new Unanswerable(`${pair.schema}.${pair.name}() was not made like that on the copies`)
      await judge(body, seen)
    }
  }
  return async text => {
    await judge(text, new Set())
    return movedNames(text, (schema, name) =>
      made.has(pairKey({ schema, name })) && !there.has(pairKey({ schema, name }))
        ? twinSchema(schema)
        : null,
    )
  }
}

async function makeTwins(tx: Db, originals: Original[], moved: string[]): Promise<void> {
  const schemas = new Set(moved.map(key => twinSchema(key.split('\0')[0]!)))
  for (const schema of schemas) await createSchema(tx, schema)
  for (const original of originals) await createTwin(tx, original, twinSchema(original.schema))
}

const pairKey = ({ schema, name }: QualifiedName): string => `${schema}\0${name}`

const unique = (names: QualifiedName[]): QualifiedName[] => [
  ...new Map(names.map(n => [pairKey(n), n])).values(),
]

const notTried = (m: Migration, s: Statement, fault: TwinFault, leftOut: string): Finding =>
  finding('NOT_TRIED', whereIn(m, s), { ...whatOf(s, fault), leftOut: firstLine(leftOut) })

const wouldFail = (m: Migration, s: Statement, fault: TwinFault): Finding =>
  finding('WOULD_FAIL', whereIn(m, s), whatOf(s, fault))

const whereIn = ({ file }: Migration, s: Statement): string =>
  `${file.path}:${lineOf(file.text, s.offset).line}`

/** The statement and the server's error, without the names of twins. */
const whatOf = (s: Statement, { code, message }: TwinFault) => ({
  sql: firstLine(s.text),
  sqlstate: code,
  reason: message.replaceAll('rethread_twin_', ''),
})
