import type { ExcusableCode, FindingOf } from '../model/facts.js'
import type { Migration } from '../model/project.js'
import { finding } from '../model/report.js'
import type { SquawkWarning } from './squawk.js'
import {
  lineOf,
  type Node,
  relationName,
  type Statement,
  statementsOrNone,
  strings,
  visitNodes,
} from './statements.js'

/** A finding of a rule about a statement. */
type Breach = FindingOf<ExcusableCode>

/** The position of a statement. `excuse` returns the reason that its comment gives for a code, else null. */
interface Place {
  where: string
  excuse: (code: ExcusableCode) => string | null
}

/** A comment above a statement that excuses a finding: `-- allow POLICY_WITHOUT_TO: public data`. */
const excuse = /^--[ \t]*allow[ \t]+([A-Z_]+):[ \t]*(\S.*)$/gm

/**
 * Finds patterns that the server accepts but that cause problems later. A comment beside the SQL can excuse
 * one with a reason; it is then reported as info. `warnings` are those of squawk. `lint` reports files that
 * do not parse.
 */
export async function rulesOf(m: Migration, warnings: SquawkWarning[] = []): Promise<Breach[]> {
  const text = m.file.text.replace(/^\uFEFF/, '')
  const statements = await statementsOrNone(text)
  const made = new Set<string>()
  const policies = new Set<string>()
  const values: string[] = []
  const found: Breach[] = []
  let end = 0
  for (const s of statements) {
    const above = text.slice(end, s.offset)
    end = s.offset + s.text.length
    const line = lineOf(text, s.offset).line
    const last = lineOf(text, end).line
    const excuses = new Map([...above.matchAll(excuse)].map(x => [x[1]!, x[2]!.trim()]))
    if (s.kind === 'CreateStmt') made.add(relationName(s.node.relation))
    if (s.kind === 'CreatePolicyStmt') policies.add(relationName(s.node.table))
    const at: Place = { where: `${m.file.path}:${line}`, excuse: code => excuses.get(code) ?? null }
    const breaches = [
      ...ofFunctions(s, at),
      ...ofPolicies(s, at),
      ...ofWrites(s, at, m, made),
      ...ofBatches(s, at, m),
      ...ofRowSecurity(s, at, made, policies),
      ...ofDrops(s, at),
      ...ofEnums(s, at, values),
      ...warnings.filter(h => h.line >= line && h.line <= last).map(h => ofSquawk(h, at)),
    ]
    found.push(...breaches.map(b => (b.facts.excused === null ? b : { ...b, level: 'info' as const })))
  }
  return found
}

/**
 * Bodies that ignore every exception, and SECURITY DEFINER functions that depend on the caller's search_path
 * or temporary objects.
 */
function ofFunctions({ kind, node, text }: Statement, { where, excuse }: Place): Breach[] {
  if (kind !== 'CreateFunctionStmt' && kind !== 'DoStmt') return []
  const found: Breach[] = []
  if (/when\s+others\s+then\s+(null\s*;|end\b)/i.test(text))
    found.push(finding('SWALLOWED_EXCEPTION', where, { excused: excuse('SWALLOWED_EXCEPTION') }))
  const options = (node.options ?? []).map((o: Node) => o.DefElem as Node)
  const definer = options.some((o: Node) => o.defname === 'security' && o.arg?.Boolean?.boolval)
  const path = options.find(
    (o: Node) => o.defname === 'set' && o.arg?.VariableSetStmt?.name === 'search_path',
  )?.arg.VariableSetStmt
  if (definer && path?.args?.at(-1)?.A_Const?.sval?.sval !== 'pg_temp')
    found.push(
      finding('DEFINER_WITHOUT_SEARCH_PATH', where, {
        name: strings(node.funcname).join('.'),
        sets: path !== undefined,
        excused: excuse('DEFINER_WITHOUT_SEARCH_PATH'),
      }),
    )
  return found
}

/** Policies for every role, and policies without WITH CHECK. */
function ofPolicies({ kind, node }: Statement, { where, excuse }: Place): Breach[] {
  if (kind !== 'CreatePolicyStmt') return []
  const facts = { policy: String(node.policy_name), table: relationName(node.table) }
  const found: Breach[] = []
  if ((node.roles ?? []).some((r: Node) => r.RoleSpec?.roletype === 'ROLESPEC_PUBLIC'))
    found.push(finding('POLICY_WITHOUT_TO', where, { ...facts, excused: excuse('POLICY_WITHOUT_TO') }))
  if (['insert', 'update', 'all'].includes(node.cmd_name) && !node.with_check)
    found.push(finding('POLICY_WITHOUT_CHECK', where, { ...facts, excused: excuse('POLICY_WITHOUT_CHECK') }))
  return found
}

/** Writes of many rows in a step that is one transaction. */
function ofWrites(
  { kind, node }: Statement,
  { where, excuse }: Place,
  m: Migration,
  made: Set<string>,
): Breach[] {
  if (m.backfill || !['UpdateStmt', 'DeleteStmt', 'InsertStmt'].includes(kind)) return []
  const table = relationName(node.relation)
  if (made.has(table) || /^(rethread_archive|chat_private)\./.test(table)) return []
  if (kind === 'InsertStmt' && node.selectStmt?.SelectStmt?.valuesLists?.length) return []
  const facts = { table, where: Boolean(node.whereClause), excused: excuse('BULK_WRITE') }
  return [finding('BULK_WRITE', where, facts)]
}

/** Parts of a backfill's WITH that read its table. A batch only restricts the top level. */
function ofBatches({ node }: Statement, { where, excuse }: Place, { backfill }: Migration): Breach[] {
  if (!backfill) return []
  return (node.withClause?.ctes ?? []).flatMap(({ CommonTableExpr: part }: Node) => {
    let reads = false
    visitNodes(part.ctequery, n => {
      if (typeof n.relname === 'string' && relationName(n) === backfill.table) reads = true
    })
    const facts = { part: part.ctename, table: backfill.table, excused: excuse('WITH_READS_TABLE') }
    return reads ? [finding('WITH_READS_TABLE', where, facts)] : []
  })
}

/** ENABLE ROW LEVEL SECURITY on a table in use before it has policies: nobody sees a row. */
function ofRowSecurity(
  { kind, node }: Statement,
  { where, excuse }: Place,
  made: Set<string>,
  policies: Set<string>,
): Breach[] {
  if (kind !== 'AlterTableStmt') return []
  const table = relationName(node.relation)
  const on = node.cmds.some((c: Node) => c.AlterTableCmd?.subtype === 'AT_EnableRowSecurity')
  return on && !made.has(table) && !policies.has(table)
    ? [finding('RLS_BEFORE_POLICIES', where, { table, excused: excuse('RLS_BEFORE_POLICIES') })]
    : []
}

/** DROP ... CASCADE: no file shows what it drops. */
const ofDrops = ({ kind, node, text }: Statement, { where, excuse }: Place): Breach[] =>
  kind === 'DropStmt' && node.behavior === 'DROP_CASCADE'
    ? [finding('CASCADING_DROP', where, { sql: text.split('\n')[0]!, excused: excuse('CASCADING_DROP') })]
    : []

/** A new value of an enum that is used before it is committed. */
function ofEnums({ kind, node, text }: Statement, { where, excuse }: Place, values: string[]): Breach[] {
  if (kind === 'AlterEnumStmt' && node.newVal) {
    values.push(node.newVal)
    return []
  }
  const used = values.find(v => text.includes(`'${v}'`))
  return used
    ? [finding('ENUM_VALUE_TOO_EARLY', where, { value: used, excused: excuse('ENUM_VALUE_TOO_EARLY') })]
    : []
}

const ofSquawk = ({ rule, message, help }: SquawkWarning, { where, excuse }: Place): Breach =>
  finding('SQUAWK', where, { rule, message, help, excused: excuse('SQUAWK') })
