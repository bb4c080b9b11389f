import { isCanceled } from '../database/faults.js'
import { scopeOf } from '../database/scopes.js'
import type { Db } from '../database/types.js'
import { readBackfillStatement } from '../files/backfill_statement.js'
import { rowChanges } from '../files/body_writes.js'
import { shortSql } from '../files/lint.js'
import {
  type Node,
  pathName,
  relationName,
  type Statement,
  strings,
  visitNodes,
} from '../files/statements.js'
import { type Finding, finding } from '../model/report.js'
import { namesIn, partText, tableText } from '../model/table_name.js'
import { hasViolation, type Unproven, unprovenChecks, updatesViolation } from './look_ahead.sql.js'
import type { FileOfStatements } from './twin_script.js'
import { twinSchema } from './twin_statements.js'
import type { Question, TwinAnswers } from './twins.js'

/** The question whether a file will update a row that violates a NOT VALID constraint. */
interface ViolationQuestion {
  (...asked: Parameters<Question>): ReturnType<Question>
  check: Unproven
  path: string
}

/**
 * NOT VALID constraints that some rows violate and that a pending file may check: an update of such a row
 * fails. Which rows a backfill updates is only known after the files have run on twins, so this returns
 * questions. The findings name what could not be checked.
 */
export async function questionsOf(
  sql: Db,
  files: FileOfStatements[],
): Promise<{ findings: Finding[]; questions: ViolationQuestion[] }> {
  const findings: Finding[] = []
  const questions: ViolationQuestion[] = []
  const updates = files.flatMap(file =>
    file.statements.filter(s => s.kind === 'UpdateStmt').map(statement => ({ file, statement })),
  )
  const hidden = await hiddenChanges(files)
  const tables = new Set(updates.map(u => relationName(u.statement.node.relation)))
  for (const check of await unprovenChecks(sql, [...new Set([...tables, ...hidden.keys()])])) {
    const inBodies = hidden.get(check.asked) ?? []
    const meeting = updates.filter(
      u => relationName(u.statement.node.relation) === check.asked && !sets(u.statement, check.columns),
    )
    if (meeting.length === 0 && inBodies.length === 0) continue
    const violated = await hasViolation(scopeOf(sql), check).catch(error => {
      if (!isCanceled(error)) throw error
      return null
    })
    if (violated === false) continue
    for (const { path, sql } of inBodies)
      findings.push(notLookedAt({ check, path }, `which rows \`${sql}\` changes shows only when it runs`))
    for (const { file, statement } of meeting) {
      const path = file.migration.file.path
      if (violated === null)
        findings.push(notLookedAt({ check, path }, 'the table is too large for a look before the run'))
      else questions.push(Object.assign(await question(check, files, file, statement), { check, path }))
    }
  }
  return { findings, questions }
}

/**
 * Tables whose rows a file changes in the body of a DO block, or of a function of the files that it calls.
 * Each with the file and the first line of the statement.
 */
async function hiddenChanges(
  files: FileOfStatements[],
): Promise<Map<string, { path: string; sql: string }[]>> {
  const found = new Map<string, { path: string; sql: string }[]>()
  const functions = new Map<string, Statement>()
  for (const { migration, statements } of files)
    for (const s of statements) {
      if (s.kind === 'CreateFunctionStmt') functions.set(pathName(strings(s.node.funcname)), s)
      const bodies =
        s.kind === 'DoStmt'
          ? [s]
          : s.kind === 'SelectStmt' || s.kind === 'CallStmt'
            ? functionsCalled(s, functions)
            : []
      if (bodies.length === 0) continue
      for (const table of (await rowChanges(bodies)).tables)
        found.set(table, [...(found.get(table) ?? []), { path: migration.file.path, sql: shortSql(s.text) }])
    }
  return found
}

/** The functions of the files that a statement calls. */
function functionsCalled({ node }: Statement, functions: ReadonlyMap<string, Statement>): Statement[] {
  const called = new Set<Statement>()
  visitNodes(node, part => {
    const made = Array.isArray(part.funcname) ? functions.get(pathName(strings(part.funcname))) : undefined
    if (made) called.add(made)
  })
  return [...called]
}

/** The findings for the answers: ROWS_VIOLATE for the first file that stops, or what is not known. */
export function judgeAnswers(questions: ViolationQuestion[], answers: TwinAnswers['answers']): Finding[] {
  const violated = new Set<string>()
  return questions.flatMap((asked, i) => {
    const answer = answers[i]!
    if (answer === false) return []
    if (typeof answer === 'string') return [notLookedAt(asked, answer)]
    const { name: constraint, definition, table } = asked.check
    const key = JSON.stringify([table, constraint])
    if (violated.has(key)) return []
    violated.add(key)
    return [finding('ROWS_VIOLATE', table, { constraint, definition, migration: asked.path })]
  })
}

const notLookedAt = ({ check, path }: Pick<ViolationQuestion, 'check' | 'path'>, reason: string): Finding =>
  finding('ROWS_NOT_LOOKED_AT', check.table, {
    constraint: check.name,
    definition: check.definition,
    migration: path,
    reason,
  })

/**
 * Whether an update sets one of these columns. Then only the update itself shows whether the constraint
 * holds.
 */
const sets = ({ node }: Statement, columns: string[]): boolean =>
  (node.targetList ?? []).some((t: Node) => columns.includes(t.ResTarget?.name ?? ''))

/** The question for one update. Of a backfill, only pending rows count that are not quarantined. */
async function question(
  check: Unproven,
  files: FileOfStatements[],
  file: FileOfStatements,
  statement: Statement,
): Promise<Question> {
  const taken: { alias: string; predicate: string }[] = []
  for (const { migration, statements } of files.slice(0, files.indexOf(file)))
    if (migration.backfill?.table === check.asked) {
      const { alias, deletesTable } = await readBackfillStatement(
        migration.file.text,
        migration.file.path,
        migration.backfill,
      )
      if (deletesTable) taken.push({ alias, predicate: migration.backfill.pending })
    } else
      for (const s of statements) {
        const where = s.kind === 'DeleteStmt' ? whereOfDelete(s, check.asked) : null
        if (where) taken.push(where)
      }
  const { backfill } = file.migration
  const alias = aliasIn(statement)
  const updated = !backfill
    ? 'true'
    : `(${backfill.pending})${backfill.reason === null ? '' : ` and (${backfill.reason}) is null`}`
  const names = namesIn(check.asked)!
  const twin = tableText({ schema: twinSchema(names[0]!), name: names[1]! })
  return async (scope, asMade) => {
    const deleted = []
    for (const t of taken) deleted.push({ ...t, predicate: await asMade(t.predicate) })
    return updatesViolation(scope, {
      check,
      twin,
      deleted,
      updated: { alias, predicate: await asMade(updated) },
    })
  }
}

const aliasIn = ({ node }: Statement): string =>
  partText(node.relation.alias?.aliasname ?? node.relation.relname)

/** The rows that a plain DELETE deletes. Null if it is on another table or has USING or WITH. */
function whereOfDelete(s: Statement, table: string): { alias: string; predicate: string } | null {
  const { node, text } = s
  if (relationName(node.relation) !== table || node.usingClause || node.withClause) return null
  if (!node.whereClause) return { alias: aliasIn(s), predicate: 'true' }
  const [, where] = /\bwhere\b([\s\S]*?)(?:\breturning\b[\s\S]*)?;?\s*$/i.exec(text) ?? []
  return where ? { alias: aliasIn(s), predicate: where } : null
}
