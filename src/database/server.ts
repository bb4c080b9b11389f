import {
  type Node,
  parseStatements,
  pathName,
  relationName,
  relationsNamed,
  type Statement,
  strings,
} from '../files/statements.js'
import { hostAndPort } from '../model/host_and_port.js'
import type { Migration } from '../model/project.js'
import { type Finding, finding, type TargetInfo } from '../model/report.js'
import { readAddress } from './address.js'
import { relationFacts } from './catalog.sql.js'
import type { Connection } from './connection.js'
import type { Context } from './context.js'
import { partitionsOf } from './family.sql.js'
import { columnsOfOtherType, missingObjects } from './requirements.sql.js'
import { type ServerFacts, serverFacts } from './server.sql.js'
import type { Db } from './types.js'

/**
 * The oldest accepted version, and the major versions that are tested. 14 works untested; 13 and older are
 * refused.
 */
const oldest = 140000
const tested = [15, 18] as const

/** The target, with the facts about its server. */
export interface Target {
  info: TargetInfo
  facts: ServerFacts
  /** Major version of the server. Catalogs are only comparable within it. */
  major: number
}

/** Reads the facts about the server and the current role. */
export async function inspect(ctx: Context, connection: Connection): Promise<Target> {
  const server = await serverFacts(connection.sql)
  const { host, port } = readAddress(ctx.url)
  const seesAllRows = server.superuser || server.bypassRls
  const why = server.superuser
    ? 'superuser'
    : server.bypassRls
      ? 'role has BYPASSRLS'
      : 'role is subject to row level security where it does not own the table or the table forces it'
  const { database, role, version } = server
  return {
    info: { host, port, database, role, server: version, seesAllRows, why },
    facts: server,
    major: Math.floor(server.versionNum / 10000),
  }
}

/** Findings about the server that prevent a run, or are worth knowing. Writes nothing. */
export function judgeServer(target: Target, writes: boolean): Finding[] {
  const { facts: f, info, major } = target
  const found: Finding[] = []
  if (f.versionNum < oldest) found.push(finding('SERVER_TOO_OLD', info.server, { oldest: '14' }))
  else if (major < tested[0] || major > tested[1]) found.push(finding('SERVER_UNTESTED', info.server))
  if (writes && (f.inRecovery || f.readOnly)) {
    // a replica accepts the connection and would fail at the first write
    found.push(
      finding('READ_ONLY_SERVER', hostAndPort(info), {
        why: f.inRecovery ? 'it is a standby in recovery' : 'default_transaction_read_only is on',
      }),
    )
  }
  return found
}

/**
 * Checks before the first step: prerequisites, ownership, visible rows, and that no table to create exists.
 */
export async function preflight(connection: Connection, migrations: Migration[]): Promise<Finding[]> {
  const found: Finding[] = []
  const made = new Set<string>()
  const makers = new Map<string, Migration>()
  const altered = new Set<string>()
  const read = new Set<string>()
  const gone = new Set<string>()
  for (const m of migrations) {
    for (const s of await parseStatements(m.file.text)) {
      for (const name of namesFreed(s)) gone.add(name)
      if (s.kind === 'CreateStmt' && !s.node.if_not_exists) {
        const { schemaname = 'public' } = s.node.relation
        const name = relationName(s.node.relation)
        if (!made.has(name) && !gone.has(name) && !gone.has(`${schemaname}.`)) makers.set(name, m)
        made.add(name)
      }
      if (['AlterTableStmt', 'UpdateStmt', 'DeleteStmt'].includes(s.kind))
        altered.add(relationName(s.node.relation))
    }
    if (m.backfill) for (const table of await tablesRead(m)) read.add(table)
    // a table that a migration requires may be read by its functions inside statements of the application,
    // which must not fail
    for (const required of m.requires)
      if (required.startsWith('table ')) read.add(required.slice('table '.length))
  }
  for (const { name } of await relationFacts(connection.sql, [...makers.keys()])) {
    const m = makers.get(name)!
    found.push(finding('ALREADY_EXISTS', name, { migration: m.file.path, track: m.track, name: m.name }))
  }
  const wanted = [...new Set(migrations.flatMap(m => m.requires))].filter(
    r => !made.has(r.replace(/^table /, '')),
  )
  found.push(...(await missingFindings(connection.sql, await missingObjects(connection.sql, wanted))))
  for (const name of await partitionsOf(connection.sql, [...altered])) altered.add(name)
  const tables = [...new Set([...altered, ...read])].filter(t => !made.has(t))
  for (const t of await relationFacts(connection.sql, tables)) {
    if (!t.owned && altered.has(t.name))
      found.push(finding('MISSING_PRIVILEGE', t.name, { wants: 'OWNERSHIP', owner: t.owner, role: t.role }))
    else if (!t.readable)
      found.push(finding('MISSING_PRIVILEGE', t.name, { wants: 'SELECT', owner: t.owner, role: t.role }))
    else if (t.filtered)
      found.push(finding('ROWS_HIDDEN', t.name, { owner: t.owner, forced: t.forced, role: t.role }))
  }
  return found
}

/** Names that a statement frees: tables that it drops, renames or moves; `schema.` for a whole schema. */
function namesFreed({ kind, node }: Statement): string[] {
  if (kind === 'DropStmt' && node.removeType === 'OBJECT_TABLE')
    return (node.objects as Node[]).map(o => pathName(strings([o])))
  if (kind === 'DropStmt' && node.removeType === 'OBJECT_SCHEMA')
    return strings(node.objects).map(name => `${name}.`)
  const moved =
    kind === 'AlterObjectSchemaStmt' || (kind === 'RenameStmt' && node.renameType === 'OBJECT_TABLE')
  return moved && node.relation ? [relationName(node.relation)] : []
}

/** The tables that a backfill reads: its own, and those that it looks things up in. */
async function tablesRead(m: Migration): Promise<string[]> {
  return [...new Set([m.backfill!.table, ...relationsNamed(await parseStatements(m.file.text))])]
}

/** MISSING_PREREQUISITE for required objects; WRONG_TYPE, with both types, for a column of another type. */
export async function missingFindings(sql: Db, missing: string[]): Promise<Finding[]> {
  const others = new Map((await columnsOfOtherType(sql, missing)).map(o => [o.required, o.type]))
  // if a table is missing, do not report its columns
  const gone = missing.flatMap(object => /^table (\S+)$/.exec(object)?.[1] ?? [])
  const named = missing.filter(object => !gone.some(table => object.startsWith(`column ${table}.`)))
  return named.map(object => {
    const type = others.get(object)
    const [, column, needed] = /^(column \S+) (.*)$/s.exec(object) ?? []
    const [first, ...more] = needed?.split('|') ?? []
    return type === undefined || first === undefined
      ? finding('MISSING_PREREQUISITE', object.replace(/ any$/, ''))
      : finding('WRONG_TYPE', column!, { found: type, wanted: [first, ...more] })
  })
}

/** MISSING_PRIVILEGE if the role cannot create the tool's schema. */
export const judgeRights = (target: Target, hasLedger: boolean): Finding[] =>
  target.facts.canCreate || hasLedger
    ? []
    : [
        finding('MISSING_PRIVILEGE', `database ${target.info.database}`, {
          wants: 'CREATE',
          owner: null,
          role: target.info.role,
        }),
      ]
