import { isCanceled, isRefused, isRetriable, serverFault } from '../database/faults.js'
import type { Db } from '../database/types.js'
import { type Node, pathName, relationName, type Statement, strings } from '../files/statements.js'
import { Failure } from '../model/failure.js'
import {
  beginTrial,
  disableTriggers,
  endTrial,
  sendTried,
  type TriedKind,
  triedKinds,
  triedTable,
} from './try_triggers.sql.js'

/** The triggers that a file adds to an existing table. */
export interface Trial {
  table: string
  triggers: string[]
}

/** Pure: the existing tables that get triggers from these statements, with the triggers that remain. */
export function trialsOf(statements: Statement[]): Trial[] {
  const made = new Set<string>()
  const found = new Map<string, string[]>()
  for (const { kind, node } of statements) {
    if (kind === 'CreateStmt') made.add(relationName(node.relation))
    if (kind === 'DropStmt' && node.removeType === 'OBJECT_TRIGGER')
      for (const path of node.objects.map((o: Node) => strings([o]))) {
        const table = pathName(path.slice(0, -1))
        found.set(
          table,
          (found.get(table) ?? []).filter(name => name !== path.at(-1)),
        )
      }
    if (kind !== 'CreateTrigStmt') continue
    const table = relationName(node.relation)
    if (!made.has(table)) found.set(table, [...(found.get(table) ?? []), node.trigname])
  }
  return [...found].flatMap(([table, triggers]) => (triggers.length > 0 ? [{ table, triggers }] : []))
}

/**
 * Tries new triggers on copies of some rows, in the transaction that created them: with inserts, updates and
 * deletes as the application would send them, which are rolled back. The application's own triggers are
 * disabled meanwhile. Throws TRIGGERS_RAISE if a statement fails that succeeds without the new triggers. The
 * transaction is then rolled back, so the application never meets them.
 */
export async function tryTriggers(sql: Db, { table, triggers }: Trial): Promise<void> {
  const tried = await triedTable(sql, table, triggers)
  for (const kind of triedKinds(tried)) {
    const attempt = async (held: string[]) => {
      await beginTrial(sql)
      try {
        await disableTriggers(sql, table, held)
        await sendTried(sql, table, kind, tried)
        return null
      } catch (error) {
        if (!isRefused(error) || isRetriable(error) || isCanceled(error)) throw error
        return error
      } finally {
        await endTrial(sql)
      }
    }
    const raised = await attempt(tried.others)
    // it fails in any case, for example because of a unique index
    if (raised === null || (await attempt([...tried.others, ...triggers])) !== null) continue
    const { code: sqlstate, message: reason, where } = serverFault(raised)!
    throw new Failure(
      'TRIGGERS_RAISE',
      table,
      {
        statement: kind satisfies TriedKind,
        sqlstate,
        reason,
        context: where?.split('\n')[0] ?? null,
        triggers,
      },
      raised,
    )
  }
}
