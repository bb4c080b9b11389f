import type { Code } from '../model/codes.js'
import { type Finding, finding } from '../model/report.js'
import type { Migration } from '../model/workspace.js'
import type { Heard } from './squawk.js'
import { lineOf, type Node, parseStatements, relationName, type Statement, strings } from './statements.js'

/** What a rule found on a statement. */
interface Breach {
  code: Code
  facts: Finding['facts']
}

/** A comment above a statement excuses it, with the reason: `-- allow POLICY_WITHOUT_TO: public data`. */
const excuse = /^--[ \t]*allow[ \t]+([A-Z_]+):[ \t]*(\S.*)$/gm

/**
 * Habits that hurt later and that the server does not refuse. A statement can be excused beside the SQL,
 * with a reason: then the finding is told as info. `heard` is what squawk says of the file. Files that don't
 * parse are `lint`'s to tell of.
 */
export async function rulesOf(m: Migration, heard: Heard[] = []): Promise<Finding[]> {
  const text = m.file.text.replace(/^\uFEFF/, '')
  const statements = await parseStatements(text).catch(() => [])
  const made = new Set<string>()
  const policies = new Set<string>()
  const values: string[] = []
  const found: Finding[] = []
  let end = 0
  for (const s of statements) {
    const above = text.slice(end, s.offset)
    end = s.offset + s.text.length
    const line = lineOf(text, s.offset).line
    const last = lineOf(text, end).line
    const excuses = new Map([...above.matchAll(excuse)].map(x => [x[1]!, x[2]!.trim()]))
    if (s.kind === 'CreateStmt') made.add(relationName(s.node.relation))
    if (s.kind === 'CreatePolicyStmt') policies.add(relationName(s.node.table))
    const breaches = [
      ...ofFunctions(s),
      ...ofPolicies(s),
      ...ofWrites(s, m, made),
      ...ofRowSecurity(s, made, policies),
      ...ofDrops(s),
      ...ofEnums(s, values),
      ...heard.filter(h => h.line >= line && h.line <= last).map(ofSquawk),
    ]
    for (const { code, facts } of breaches) {
      const reason = excuses.get(code)
      const where = `${m.file.path}:${line}`
      found.push(
        reason ? finding(code, where, { ...facts, excused: reason }, 'info') : finding(code, where, facts),
      )
    }
  }
  return found
}

/**
 * Bodies that swallow every exception; functions with their owner's rights that trust
 * the caller's search_path.
 */
function ofFunctions({ kind, node, text }: Statement): Breach[] {
  if (kind !== 'CreateFunctionStmt' && kind !== 'DoStmt') return []
  const found: Breach[] = []
  if (/when\s+others\s+then\s+(null\s*;|end\b)/i.test(text))
    found.push({ code: 'SWALLOWED_EXCEPTION', facts: {} })
  const options = (node.options ?? []).map((o: Node) => o.DefElem as Node)
  const definer = options.some((o: Node) => o.defname === 'security' && o.arg?.Boolean?.boolval)
  const pinned = options.some(
    (o: Node) => o.defname === 'set' && o.arg?.VariableSetStmt?.name === 'search_path',
  )
  if (definer && !pinned)
    found.push({ code: 'DEFINER_WITHOUT_SEARCH_PATH', facts: { name: strings(node.funcname).join('.') } })
  return found
}

/** Policies that speak to every role, and those that let a row be written that could not be read. */
function ofPolicies({ kind, node }: Statement): Breach[] {
  if (kind !== 'CreatePolicyStmt') return []
  const facts = { policy: node.policy_name, table: relationName(node.table) }
  const found: Breach[] = []
  if ((node.roles ?? []).some((r: Node) => r.RoleSpec?.roletype === 'ROLESPEC_PUBLIC'))
    found.push({ code: 'POLICY_WITHOUT_TO', facts })
  if (['insert', 'update', 'all'].includes(node.cmd_name) && !node.with_check)
    found.push({ code: 'POLICY_WITHOUT_CHECK', facts })
  return found
}

/** Bulk writes in a step that is one transaction. */
function ofWrites({ kind, node }: Statement, m: Migration, made: Set<string>): Breach[] {
  if (m.backfill || !['UpdateStmt', 'DeleteStmt', 'InsertStmt'].includes(kind)) return []
  const table = relationName(node.relation)
  if (made.has(table) || /^(rethread_archive|chat_private)\./.test(table)) return []
  if (kind === 'InsertStmt' && node.selectStmt?.SelectStmt?.valuesLists?.length) return []
  return [{ code: 'BULK_WRITE', facts: { table, where: Boolean(node.whereClause) } }]
}

/** Row security that is switched on for a table in use before it has policies: nobody sees a row. */
function ofRowSecurity({ kind, node }: Statement, made: Set<string>, policies: Set<string>): Breach[] {
  if (kind !== 'AlterTableStmt') return []
  const table = relationName(node.relation)
  const on = node.cmds.some((c: Node) => c.AlterTableCmd?.subtype === 'AT_EnableRowSecurity')
  return on && !made.has(table) && !policies.has(table)
    ? [{ code: 'RLS_BEFORE_POLICIES', facts: { table } }]
    : []
}

/** What CASCADE takes along, no file says. */
const ofDrops = ({ kind, node, text }: Statement): Breach[] =>
  kind === 'DropStmt' && node.behavior === 'DROP_CASCADE'
    ? [{ code: 'CASCADING_DROP', facts: { sql: text.split('\n')[0]! } }]
    : []

/** A new value of an enum that is used before it is committed. */
function ofEnums({ kind, node, text }: Statement, values: string[]): Breach[] {
  if (kind === 'AlterEnumStmt' && node.newVal) {
    values.push(node.newVal)
    return []
  }
  const used = values.find(v => text.includes(`'${v}'`))
  return used ? [{ code: 'ENUM_VALUE_TOO_EARLY', facts: { value: used } }] : []
}

const ofSquawk = ({ rule, message, help }: Heard): Breach => ({
  code: 'SQUAWK',
  facts: { rule, message, help },
})
