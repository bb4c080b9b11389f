import { knownOf } from '../database/known.js'
import type { Db } from '../database/types.js'
import { nameKeyOf } from '../files/moved_names.js'
import type { Statement } from '../files/statements.js'
import type { Migration } from '../model/project.js'
import { learnStatement } from './learn_changes.js'
import { foretoldLocks } from './statement_locks.js'
import { isDynamic, isNeedless, madeBy, onTwin, twinSchema } from './twin_statements.js'
import type { Original } from './twins.sql.js'

/** A pending file and what is in it. */
export interface FileOfStatements {
  migration: Migration
  statements: Statement[]
}

/** A statement of a file, and its text as the twins get it. */
export interface ScriptLine {
  migration: Migration
  statement: Statement
  text: string
}

/** What runs on the twins, and what was left out. */
export interface TwinScript {
  /** Keys of the names that are the twins' there. */
  moved: ReadonlySet<string>
  lines: ScriptLine[]
  /** Texts of the statements that the twins do without. */
  leftOut: string[]
  /** Those that were left out from the beginning, each with the place of the line that follows. */
  gaps: { before: number; text: string }[]
  /** Keys of what statements make that only the twins refuse. */
  notMade: Set<string>
}

/** The files as they run on twins: which statements do, and under which names. */
export async function twinScript(
  sql: Db,
  files: FileOfStatements[],
  originals: Original[],
): Promise<TwinScript> {
  const statements = files.flatMap(f => f.statements)
  const known = await knownOf(sql, statements)
  const moved = new Set([...originals, ...statements.flatMap(madeBy)].map(nameKeyOf))
  const schemaFor = (schema: string, name: string) =>
    moved.has(nameKeyOf({ schema, name })) ? twinSchema(schema) : null
  const functions = statements.filter(s => s.kind === 'CreateFunctionStmt').flatMap(madeBy)
  const madeFunctions = new Set(functions.map(f => f.schema))
  const script: TwinScript = { moved, lines: [], leftOut: [], gaps: [], notMade: new Set() }
  for (const { migration, statements } of files)
    for (const statement of statements) {
      const locks = foretoldLocks(statement, known)
      learnStatement(known, statement)
      const dynamic = isDynamic(statement, locks)
      const text = dynamic ? null : await onTwin(statement, schemaFor, madeFunctions)
      if (text !== null) script.lines.push({ migration, statement, text })
      else if (dynamic || !isNeedless(statement)) {
        script.leftOut.push(statement.text)
        script.gaps.push({ before: script.lines.length, text: statement.text })
      }
    }
  return script
}

/** Takes a line that failed out of the script. */
export function leaveOutLine({ lines, leftOut }: TwinScript, at: number): void {
  leftOut.push(...lines.splice(at, 1).map(line => line.statement.text))
}
