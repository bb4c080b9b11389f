import { schemaOfRequired } from '../database/requirements.sql.js'
import type { Db } from '../database/types.js'
import { droppedTables } from '../files/dropped_objects.js'
import {
  relationName,
  relationsNamed,
  type Statement,
  statementsOrNone,
  visitNodes,
} from '../files/statements.js'
import type { Track } from '../model/project.js'
import { type Finding, finding } from '../model/report.js'
import { rightsBeside } from '../plan/trigger_rights.js'
import { type DeployRole, deployRole, type Needs } from './deploy_role.sql.js'

/** Statements that only the owner of a table may run, or that write it. */
const asOwner = new Set([
  'AlterTableStmt',
  'UpdateStmt',
  'DeleteStmt',
  'InsertStmt',
  'CreateTrigStmt',
  'CreatePolicyStmt',
  'AlterPolicyStmt',
  'IndexStmt',
  'RuleStmt',
  'RenameStmt',
  'AlterObjectSchemaStmt',
])

/** RUNS_AS_SUPERUSER with the role that should run a track instead, and the SQL that grants what it lacks. */
export async function lesserRole(sql: Db, track: Track, superuser: string): Promise<Finding> {
  const needs = await needsOf(track)
  const kinds = { SELECT: needs.read, INSERT: needs.inserted, UPDATE: needs.updated, DELETE: needs.deleted }
  for (const { table, privilege } of await rightsBeside(sql, track, track.migrations))
    kinds[privilege].push(table)
  const { role, statements }: DeployRole = await deployRole(sql, needs)
  return finding('RUNS_AS_SUPERUSER', superuser, { track: track.name, instead: role, statements })
}

/** What all files of a track need of objects that they do not create. */
async function needsOf(track: Track): Promise<Needs> {
  const found = {
    owned: new Set<string>(),
    served: new Set<string>(),
    read: new Set<string>(),
    referenced: new Set<string>(),
    inserted: new Set<string>(),
    updated: new Set<string>(),
    deleted: new Set<string>(),
    filled: new Set<string>(),
    entered: new Set<string>(),
    roles: new Set<string>(),
  }
  for (const m of track.migrations) {
    for (const s of await statementsOrNone(m.file.text)) addNeeds(found, s)
    if (m.backfill) found.owned.add(m.backfill.table)
    for (const r of m.requires) {
      if (r.startsWith('table ')) found.read.add(r.slice('table '.length))
      const schema = schemaOfRequired(r)
      if (schema !== null) found.entered.add(schema)
    }
  }
  // probes are rolled back, but need the rights
  for (const check of track.checks) for (const s of await statementsOrNone(check.file.text)) addUses(found, s)
  const lists = Object.entries(found).map(([kind, names]) => [kind, [...names].sort()])
  return Object.fromEntries(lists) as Needs
}

type Found = { [K in keyof Needs]: Set<string> }

/** Matches the text before the name of a table that is only read. */
const onlyReads = /(?<!\bdelete\s+)\b(?:from|join)\s+$/i

function addNeeds(found: Found, s: Statement): void {
  const { kind, node } = s
  const target = node.relation ?? node.table
  if (asOwner.has(kind) && target) found.owned.add(relationName(target))
  if (kind === 'CreateStmt' && node.relation.schemaname) found.filled.add(node.relation.schemaname)
  for (const table of droppedTables(s)) found.owned.add(table)
  // the objects of a DO block are only in its text
  if (kind === 'DoStmt') {
    const names = [...s.text.matchAll(/\b[a-z_]\w*\.[a-z_]\w*/g)].flatMap(m => {
      const isRead = onlyReads.test(s.text.slice(0, m.index))
      if (isRead) found.read.add(m[0])
      return isRead ? [] : m[0]
    })
    for (const name of names) found.owned.add(name)
    if (/\balter (routine|function|procedure)\b/i.test(s.text))
      for (const name of names) found.served.add(name)
  }
  for (const table of relationsNamed([s])) found.read.add(table)
  visitNodes(node, part => {
    if (part.contype === 'CONSTR_FOREIGN' && part.pktable) found.referenced.add(relationName(part.pktable))
    if (typeof part.rolename === 'string') found.roles.add(part.rolename)
  })
}

function addUses(found: Found, s: Statement): void {
  for (const table of relationsNamed([s])) found.read.add(table)
  visitNodes({ [s.kind]: s.node }, part => {
    if (part.InsertStmt?.relation) found.inserted.add(relationName(part.InsertStmt.relation))
    if (part.UpdateStmt?.relation) found.updated.add(relationName(part.UpdateStmt.relation))
    if (part.DeleteStmt?.relation) found.deleted.add(relationName(part.DeleteStmt.relation))
  })
}
