import { referencingKeys } from '../database/catalog.sql.js'
import type { Db } from '../database/types.js'
import { rowChanges, type WriteRight } from '../files/body_writes.js'
import { parseStatements, relationName } from '../files/statements.js'
import type { Migration, Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { firedByEach } from './firing_triggers.js'
import { ofRule, type Trigger } from './firing_triggers.sql.js'
import { bodiesOfTriggers, lackedRights } from './trigger_rights.sql.js'

/** A privilege on a table of the application that backfills need although no file names the table. */
export interface RightBeside {
  table: string
  privilege: WriteRight | 'SELECT'
  /** The function of a trigger, or the rule, that writes the table; null for a table that only is read. */
  by: string | null
}

/**
 * What backfills need beside their own tables: the triggers that they fire write tables of the application
 * with the rights of whoever runs the backfill, rules with those of the table's owner, and tables that
 * reference rows to take out are read first.
 */
export async function rightsBeside(sql: Db, track: Track, migrations: Migration[]): Promise<RightBeside[]> {
  const found: RightBeside[] = []
  const fired = await firedByEach(sql, track, migrations)
  for (const m of migrations) {
    if (!m.backfill) continue
    const [statement] = await parseStatements(m.file.text)
    if (statement?.kind === 'DeleteStmt')
      for (const { table } of await referencingKeys(sql, relationName(statement.node.relation)))
        found.push({ table, privilege: 'SELECT', by: null })
    for (const { name, definition } of await firedCode(sql, fired.get(m)?.fired ?? [])) {
      const { rights } = await rowChanges(await parseStatements(definition))
      for (const [table, needed] of rights)
        for (const privilege of needed) found.push({ table, privilege, by: name })
    }
  }
  const keys = found.map(r => `${r.privilege} ${r.table}`)
  return found.filter((r, i) => keys.indexOf(`${r.privilege} ${r.table}`) === i)
}

/** The functions of triggers, and rules, with their definitions. */
async function firedCode(sql: Db, fired: Trigger[]): Promise<{ name: string; definition: string }[]> {
  const rules = fired.filter(t => t.function === ofRule)
  const functions = [...new Set(fired.filter(t => !rules.includes(t)).map(t => t.function))]
  return [...(await bodiesOfTriggers(sql, functions)), ...rules]
}

/** MISSING_PRIVILEGE for each of these privileges that this role lacks. */
export async function missingBeside(sql: Db, track: Track, migrations: Migration[]): Promise<Finding[]> {
  const lacked = await lackedRights(sql, await rightsBeside(sql, track, migrations))
  return lacked.map(({ table, privilege, by, owner, role }) =>
    finding(
      'MISSING_PRIVILEGE',
      table,
      privilege === 'SELECT' || by === null
        ? { wants: 'SELECT', owner, role }
        : { wants: privilege, owner, role, by },
    ),
  )
}
