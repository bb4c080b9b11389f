import type { Connection } from '../database/connection.js'
import { setLocal, setParameter } from '../database/connection.sql.js'
import { type Context, connect } from '../database/context.js'
import { faultText, isRefused, serverFault } from '../database/faults.js'
import { type Scope, savepoint, takenBack, transaction } from '../database/scopes.js'
import type { Db } from '../database/types.js'
import { movedNames, nameKeyOf, pairsIn, type QualifiedName, uniqueNames } from '../files/moved_names.js'
import type { Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { sendText } from '../run/execute_file.sql.js'
import { judgeTwinFault, type StoppedAt, saidOf, withoutTwins } from './twin_faults.js'
import { type FileOfStatements, leaveOutLine, type TwinScript, twinScript } from './twin_script.js'
import { madeBy, twinSchema } from './twin_statements.js'
import { createSchema, createTwin, eventTriggerFunctions, type Original, originalsOf } from './twins.sql.js'

/** Time limit of a statement on the twins, in milliseconds. Twins are empty. */
const twinStatementMs = 5000
/** Lock timeout in milliseconds. Nobody else locks twins; a wait for another object ends the rehearsal. */
const twinLockMs = 50

/**
 * Something that is asked of the database as the pending files will have made it, in their transaction.
 * `asMade` gives a text the names of what they make; all other names stay those of the application.
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
  const originals = await originalsOf(connection.sql, uniqueNames(pairs))
  // nothing of the application is touched: there is nothing that could differ from what the files expect
  if (originals.length === 0) return without('the files name no table of the application')
  const script = await twinScript(connection.sql, files, originals)
  const eventTriggers = await eventTriggerFunctions(connection.sql)
  const asMade = namesOfMade(files, originals, script.leftOut)
  const untried: Finding[] = []
  let answers: TwinAnswers['answers'] = []
  for (let rounds = 0; rounds < mostRounds; rounds++) {
    const stopped = await play(connection, originals, script, async tx => {
      answers = []
      for (const question of questions) answers.push(await answered(tx, question, asMade))
    })
    if (stopped === null) return { findings: untried, answers }
    const found = await judgeTwinFault(track, script, stopped, eventTriggers)
    if (found && found.code !== 'NOT_TRIED') return without(saidOf(stopped.fault), found)
    const { statement } = script.lines[stopped.at]!
    if (found) untried.push(found)
    else for (const made of madeBy(statement)) script.notMade.add(nameKeyOf(made))
    leaveOutLine(script, stopped.at)
  }
  const reason = 'too much of it needs what the copies do not have'
  return without(reason, ...untried, finding('NOT_REHEARSED', track.name, { reason }))
}

/** How often the rehearsal begins again without a statement that only the twins refuse. */
const mostRounds = 16

/**
 * Creates the twins, sends the texts and asks the questions, in one transaction that is rolled back. Returns
 * the index of the text that failed, -1 if the twins could not be created; null if nothing failed. No
 * statement has a savepoint, so only one transaction id is used.
 */
async function play(
  connection: Connection,
  originals: Original[],
  { moved, lines }: TwinScript,
  ask: (tx: Db) => Promise<void>,
): Promise<StoppedAt | null> {
  let at = -1
  try {
    await takenBack(transaction(connection.sql), async tx => {
      await setLocal(tx, twinLockMs, twinStatementMs)
      // notices would name twins, which the user does not know
      await setParameter(tx, 'client_min_messages', 'warning')
      await makeTwins(tx, originals, moved)
      for (const { text } of lines) {
        at++
        await sendText(tx, text)
      }
      at = lines.length
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
    return withoutTwins(faultText(error))
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
  const there = new Set(originals.map(nameKeyOf))
  const made = new Set<string>()
  const bodies = new Map<string, string>()
  for (const statement of files.flatMap(f => f.statements))
    for (const key of madeBy(statement).map(nameKeyOf)) {
      made.add(key)
      if (statement.kind === 'CreateFunctionStmt') bodies.set(key, statement.text)
    }
  const judge = async (text: string, seen: Set<string>): Promise<void> => {
    for (const pair of await pairsIn(text)) {
      const key = nameKeyOf(pair)
      const body = bodies.get(key)
      if (body === undefined || seen.has(key)) continue
      seen.add(key)
      const table = (await pairsIn(body)).find(p => there.has(nameKeyOf(p)))
      if (table)
        throw new Unanswerable(`${pair.schema}.${pair.name}() reads ${table.schema}.${table.name} by itself`)
      for (const text of leftOut)
        if ((await pairsIn(text)).some(p => nameKeyOf(p) === key))
          throw new Unanswerable(`${pair.schema}.${pair.name}() was not made like that on the copies`)
      await judge(body, seen)
    }
  }
  return async text => {
    await judge(text, new Set())
    return movedNames(text, (schema, name) =>
      made.has(nameKeyOf({ schema, name })) && !there.has(nameKeyOf({ schema, name }))
        ? twinSchema(schema)
        : null,
    )
  }
}

async function makeTwins(tx: Db, originals: Original[], moved: ReadonlySet<string>): Promise<void> {
  const schemas = new Set([...moved].map(key => twinSchema(key.split('\0')[0]!)))
  for (const schema of schemas) await createSchema(tx, schema)
  for (const original of originals) await createTwin(tx, original, twinSchema(original.schema))
}
