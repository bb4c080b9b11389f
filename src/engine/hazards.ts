import type { HazardCode } from '../model/codes.js'
import type { Hazard } from '../model/plan.js'
import type { Migration } from '../model/workspace.js'
import { type Node, pathName, relationName, type Statement, strings } from '../workspace/statements.js'

/** Functions whose value differs from row to row: as a default they rewrite the table. */
const volatile = new Set([
  'gen_random_uuid',
  'uuid_generate_v4',
  'random',
  'clock_timestamp',
  'nextval',
  'timeofday',
])

/** Lock modes and what they stop. Source: PostgreSQL's table of conflicting lock modes. */
const exclusive = 'ACCESS EXCLUSIVE: reads and writes wait while it is held or waited for'
const shareRow = 'SHARE ROW EXCLUSIVE: writes wait while it is held or waited for'

/**
 * Pure: what the statements of one migration can do to the running application and to data. `created` names
 * tables made earlier in the same plan: nobody uses them yet, so locks on them are no hazard.
 */
export function hazardsOf(
  statements: Statement[],
  migration: Migration | null,
  created: Set<string>,
): Hazard[] {
  const found: Hazard[] = []
  const quarantines = migration?.hazards.includes('QUARANTINES_ROWS') ?? false
  for (const s of statements) {
    if (s.kind === 'CreateStmt') created.add(relationName(s.node.relation))
    for (const h of ofStatement(s)) {
      if (created.has(h.subject) && h.code !== 'DELETES_DATA') continue
      // what the tool derives or keeps itself is not the application's data
      if (/^(chat_private|rethread_archive)\./.test(h.subject)) continue
      // a quarantining backfill deletes what it has copied; its own hazard says so
      if (quarantines && h.code === 'DELETES_DATA' && s.kind === 'DeleteStmt') continue
      if (!found.some(f => f.code === h.code && f.subject === h.subject && f.detail === h.detail))
        found.push(h)
    }
  }
  if (migration?.endsOldApp)
    found.push({ code: 'ENDS_OLD_APP', subject: migration.name, detail: migration.endsOldApp })
  for (const code of migration?.hazards ?? []) {
    found.push({ code, subject: migration!.backfill?.table ?? migration!.name, detail: migration!.title })
  }
  return found
}

function ofStatement({ kind, node }: Statement): Hazard[] {
  const on = (code: HazardCode, subject: string, detail: string): Hazard => ({ code, subject, detail })
  switch (kind) {
    case 'CreateStmt':
      return (node.tableElts ?? []).flatMap((e: Node) => [
        ...(e.ColumnDef?.constraints ?? []).flatMap((c: Node) => foreignKey(c.Constraint)),
        ...foreignKey(e.Constraint),
      ])
    case 'AlterTableStmt': {
      if (node.objtype !== 'OBJECT_TABLE') return []
      const table = relationName(node.relation)
      return node.cmds.flatMap((c: Node) => ofAlter(table, c.AlterTableCmd))
    }
    case 'IndexStmt': {
      const table = relationName(node.relation)
      return node.concurrent
        ? [
            on(
              'SCANS_TABLE',
              table,
              `CREATE INDEX CONCURRENTLY ${node.idxname} reads the table twice; nobody waits`,
            ),
          ]
        : [on('BLOCKS_WRITES', table, `CREATE INDEX ${node.idxname} holds SHARE while it reads the table`)]
    }
    case 'CreateTrigStmt':
      return [
        on('BLOCKS_WRITES', relationName(node.relation), `CREATE TRIGGER ${node.trigname} takes ${shareRow}`),
      ]
    case 'CreatePolicyStmt':
      // a policy is more than metadata: the statement waits for everybody, and everybody for it
      return [
        on('LOCKS_TABLE', relationName(node.table), `CREATE POLICY ${node.policy_name} takes ${exclusive}`),
      ]
    case 'DropStmt':
      return ofDrop(node)
    case 'TruncateStmt':
      return node.relations.map((r: Node) =>
        on('DELETES_DATA', relationName(r.RangeVar), 'TRUNCATE empties the table'),
      )
    case 'DeleteStmt':
      return [on('DELETES_DATA', relationName(node.relation), 'DELETE')]
    default:
      return []
  }
}

function foreignKey(c: Node | undefined): Hazard[] {
  if (c?.contype !== 'CONSTR_FOREIGN') return []
  // both sides are locked, also for a constraint inside CREATE TABLE
  return [
    {
      code: 'BLOCKS_WRITES',
      subject: relationName(c.pktable),
      detail: `a foreign key to it takes ${shareRow}, for a moment`,
    },
  ]
}

function ofAlter(table: string, cmd: Node): Hazard[] {
  const lock = (detail: string): Hazard => ({
    code: 'LOCKS_TABLE',
    subject: table,
    detail: `${detail} takes ${exclusive}`,
  })
  const scan = (detail: string): Hazard => ({ code: 'SCANS_TABLE', subject: table, detail })
  const rewrite = (detail: string): Hazard => ({ code: 'REWRITES_TABLE', subject: table, detail })
  switch (cmd.subtype) {
    case 'AT_AddColumn': {
      const found = [lock(`ADD COLUMN ${cmd.def.ColumnDef.colname}`)]
      if (rewritesOnAdd(cmd.def.ColumnDef))
        found.push(rewrite(`ADD COLUMN ${cmd.def.ColumnDef.colname} computes a value for every row`))
      return found
    }
    case 'AT_DropColumn':
      return [
        lock(`DROP COLUMN ${cmd.name}`),
        {
          code: 'DELETES_DATA',
          subject: `${table}.${cmd.name}`,
          detail: `drops column ${table}.${cmd.name}`,
        },
      ]
    case 'AT_AlterColumnType':
      return [
        lock(`ALTER COLUMN ${cmd.name} TYPE`),
        rewrite(`ALTER COLUMN ${cmd.name} TYPE may rewrite the table`),
      ]
    case 'AT_ValidateConstraint':
      return [scan(`VALIDATE CONSTRAINT ${cmd.name} reads the table; reads and writes go on`)]
    case 'AT_SetNotNull':
      return [lock(`SET NOT NULL ${cmd.name}`)]
    case 'AT_AddConstraint': {
      const c = cmd.def.Constraint as Node
      const checked = c.skip_validation
        ? []
        : [scan(`ADD CONSTRAINT ${c.conname} checks every row under its lock; use NOT VALID`)]
      if (c.contype === 'CONSTR_FOREIGN') {
        return [
          { code: 'BLOCKS_WRITES', subject: table, detail: `ADD FOREIGN KEY takes ${shareRow}` },
          ...foreignKey(c),
          ...checked,
        ]
      }
      return [lock(`ADD CONSTRAINT ${c.conname}`), ...checked]
    }
    default:
      return [
        lock(
          String(cmd.subtype)
            .replace(/^AT_/, '')
            .replace(/([a-z])([A-Z])/g, '$1 $2')
            .toUpperCase(),
        ),
      ]
  }
}

function rewritesOnAdd(column: Node): boolean {
  const type = strings(column.typeName?.names).at(-1) ?? ''
  if (/^(small|big)?serial$/.test(type)) return true
  return (column.constraints ?? []).some((c: Node) => {
    const text = JSON.stringify(c.Constraint ?? {})
    if (c.Constraint?.contype === 'CONSTR_GENERATED') return true
    return c.Constraint?.contype === 'CONSTR_DEFAULT' && [...volatile].some(f => text.includes(`"${f}"`))
  })
}

function ofDrop(node: Node): Hazard[] {
  const objects = node.objects.map((o: Node) => strings([o]))
  switch (node.removeType) {
    case 'OBJECT_TABLE':
      return objects.map((o: string[]) => ({
        code: 'DELETES_DATA',
        subject: pathName(o),
        detail: `drops table ${pathName(o)}`,
      }))
    case 'OBJECT_TRIGGER':
    case 'OBJECT_POLICY':
      return objects.map((o: string[]) => ({
        code: 'LOCKS_TABLE',
        subject: pathName(o.slice(0, -1)),
        detail: `dropping ${o.at(-1)} takes ${exclusive}`,
      }))
    default:
      return []
  }
}
