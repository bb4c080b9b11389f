import { loadModule, parsePlPgSQL } from 'libpg-query'
import {
  type Node,
  relationName,
  type Statement,
  statementsOrNone,
  strings,
} from '../../src/files/statements.js'
import { readTrackInfo } from '../../src/files/track_info.js'
import type { Track } from '../../src/model/project.js'

/** What a name in a query stands for: a table of the application, or something else. */
type Scope = Map<string, string | null>

/** What a track reads of the application, and how its files name it. */
interface ColumnsRead {
  /** Columns that it reads or writes, as `schema.table.column`, each with a file that does. */
  read: Map<string, string>
  /**
   * Names without a table, in a query in which a table of the application is in reach: a column of that name
   * would be taken for what is meant. Each with its file.
   */
  bare: Set<string>
}

/**
 * The columns of the application's tables that a track reads or writes: by the parse trees of its migrations
 * and checks, of SQL and PL/pgSQL bodies, by headers and by track.json. `columns` is what the application's
 * tables have.
 */
export async function columnsRead(track: Track, columns: Map<string, Set<string>>): Promise<ColumnsRead> {
  const read = new Map<string, string>()
  const bare = new Set<string>()
  /** Variables that win over columns in the body at hand. */
  let variables = new Set<string>()
  /** The function at hand. */
  let within = ''
  const added = new Set<string>()
  const triggered = new Map<string, string[]>()
  /** Transition tables of the function at hand: rows of the table that has the trigger. */
  let transitions = new Map<string, string>()
  const transitionsOf = new Map<string, Map<string, string>>()
  const files = [
    ...track.migrations.map(m => m.file),
    ...track.migrations.flatMap(m => (m.rollback ? [m.rollback.file] : [])),
    // a probe makes rows of its own, and says so where it can't
    ...track.checks.filter(c => !c.shared).map(c => c.file),
  ]
  const all: { path: string; statements: Statement[] }[] = []
  for (const f of files) all.push({ path: f.path, statements: await statementsOrNone(f.text) })
  for (const { statements } of all)
    for (const { kind, node } of statements) {
      if (kind === 'CreateTrigStmt') {
        const name = strings(node.funcname).join('.')
        triggered.set(name, [...(triggered.get(name) ?? []), relationName(node.relation)])
        const rows = transitionsOf.get(name) ?? new Map()
        for (const { TriggerTransition: t } of node.transitionRels ?? [])
          if (!columns.has(rows.get(t.name))) rows.set(t.name, relationName(node.relation))
        transitionsOf.set(name, rows)
      }
      for (const { AlterTableCmd: c } of kind === 'AlterTableStmt' ? node.cmds : [])
        if (c.subtype === 'AT_AddColumn')
          added.add(`${relationName(node.relation)}.${c.def.ColumnDef.colname}`)
    }
  let path = ''
  const note = (table: string | null | undefined, column: string | undefined) => {
    const name = `${table}.${column}`
    if (table && column && columns.get(table)?.has(column) && !added.has(name) && !read.has(name))
      read.set(name, path)
  }

  const tablesOf = (from: Node[] | undefined, scope: Scope): void => {
    for (const item of from ?? []) {
      if (item.RangeVar) {
        const { relname, alias, schemaname } = item.RangeVar
        scope.set(
          alias?.aliasname ?? relname,
          schemaname ? relationName(item.RangeVar) : (transitions.get(relname) ?? null),
        )
      } else if (item.JoinExpr) tablesOf([item.JoinExpr.larg, item.JoinExpr.rarg], scope)
      else {
        const inner = Object.values(item)[0] as Node | undefined
        if (inner?.alias?.aliasname) scope.set(inner.alias.aliasname, null)
      }
    }
  }
  const has = (table: string, column: string): boolean =>
    columns.get(table)?.has(column) || added.has(`${table}.${column}`)
  const isInReach = (scope: Scope): boolean =>
    // `new` and `old` are rows whose columns nobody names alone
    !scope.has('new') && [...scope.values()].some(t => t !== null && columns.has(t))
  const reference = (node: Node, scopes: Scope[]): void => {
    const fields = strings(node.fields)
    // `c.*` is a whole row, and no column
    if (fields.length !== node.fields.length) return
    const isColumn = scopes.some(s => [...s.values()].some(t => t !== null && has(t, fields[0]!)))
    if (fields.length === 1 && !isColumn && !variables.has(fields[0]!) && scopes.some(isInReach))
      bare.add(`${fields[0]}: ${path}${within}`)
    const scope = scopes.find(s => (fields.length === 2 ? s.has(fields[0]!) : s.size > 0))
    if (fields.length === 3) note(`${fields[0]}.${fields[1]}`, fields[2])
    else if (fields.length === 2) note(scope?.get(fields[0]!), fields[1])
    // a bare name, where one table alone may have it
    else if (scope?.size === 1) note([...scope.values()][0], fields[0])
  }
  const visit = (value: unknown, scopes: Scope[]): void => {
    if (Array.isArray(value)) for (const item of value) visit(item, scopes)
    else if (value !== null && typeof value === 'object')
      for (const [kind, inner] of Object.entries(value as Node)) visitNode(kind, inner, scopes)
  }
  const visitNode = (kind: string, node: Node, scopes: Scope[]): void => {
    if (kind === 'ColumnRef') reference(node, scopes)
    const scope: Scope = new Map()
    // the sides of a UNION are no nodes of their own
    const isSide = (kind === 'larg' || kind === 'rarg') && node.targetList !== undefined
    if (kind === 'SelectStmt' || isSide) tablesOf(node.fromClause, scope)
    if (['UpdateStmt', 'DeleteStmt', 'InsertStmt'].includes(kind)) {
      tablesOf([{ RangeVar: node.relation }], scope)
      tablesOf(node.fromClause ?? node.usingClause, scope)
      const table = node.relation.schemaname ? relationName(node.relation) : null
      for (const t of [...(node.cols ?? []), ...(kind === 'UpdateStmt' ? (node.targetList ?? []) : [])])
        note(table, t.ResTarget?.name)
    }
    if (kind === 'Constraint' && node.pktable)
      for (const name of strings(node.pk_attrs)) note(relationName(node.pktable), name)
    visit(node, scope.size > 0 ? [scope, ...scopes] : scopes)
  }

  const body = async (text: string, scopes: Scope[]) => {
    for (const { kind, node } of await statementsOrNone(text)) visitNode(kind, node, scopes)
  }
  const statement = async ({ kind, node, text }: Statement): Promise<void> => {
    if (kind === 'CreateFunctionStmt' || kind === 'DoStmt') {
      const options = (kind === 'DoStmt' ? node.args : node.options) ?? []
      const option = (name: string) => options.find((o: Node) => o.DefElem.defname === name)?.DefElem.arg
      const language = option('language')?.String?.sval ?? 'plpgsql'
      const called = strings(node.funcname).join('.')
      const tables = triggered.get(called) ?? [null]
      within = called && `, ${called}`
      transitions = transitionsOf.get(called) ?? new Map()
      for (const table of tables) {
        const scope: Scope =
          table === null
            ? new Map()
            : new Map([
                ['new', table],
                ['old', table],
              ])
        if (language === 'sql')
          for (const source of strings(option('as')?.List?.items)) await body(source, [scope])
        if (language !== 'plpgsql') continue
        const { queries, names } = await plpgsqlOf(
          kind === 'DoStmt'
            ? `create function f() returns void language plpgsql as $rethread$${strings([option('as')]).join('')}$rethread$`
            : text,
        )
        variables = /#variable_conflict use_variable/.test(text) ? names : new Set()
        for (const query of queries) await body(query, [scope])
        variables = new Set()
      }
      within = ''
      transitions = new Map()
      return
    }
    if (kind === 'CreateTrigStmt') {
      const table = relationName(node.relation)
      for (const name of strings(node.columns)) note(table, name)
      return visit(node.whenClause, [
        new Map([
          ['new', table],
          ['old', table],
        ]),
      ])
    }
    if (kind === 'CreatePolicyStmt')
      return visit([node.qual, node.with_check], [new Map([[node.table.relname, relationName(node.table)]])])
    if (kind === 'IndexStmt') {
      const table = relationName(node.relation)
      for (const { IndexElem: e } of node.indexParams ?? []) note(table, e.name)
      return visit(node, [new Map([[node.relation.relname, table]])])
    }
    if (kind === 'AlterTableStmt')
      for (const { AlterTableCmd: c } of node.cmds)
        for (const name of strings(c.def?.Constraint?.fk_attrs)) note(relationName(node.relation), name)
    visitNode(kind, node, [])
  }

  for (const file of all) {
    path = file.path
    for (const s of file.statements) await statement(s)
  }
  for (const m of track.migrations) {
    path = m.file.path
    if (!m.backfill) continue
    const { table, pending, reason, unit, key } = m.backfill
    const alias = /\b([a-z]\w*)\.[a-z]/.exec(pending)?.[1] ?? 't'
    for (const condition of [pending, reason ?? 'null'])
      await body(`select from ${table} ${alias} where (${condition}) is not null`, [])
    for (const column of [unit, ...key]) note(table, column ?? undefined)
  }
  path = 'track.json'
  const { info } = await readTrackInfo(track)
  for (const part of [info?.sessions, info?.messages])
    for (const [key, value] of Object.entries(part ?? {}))
      if (key !== 'table' && typeof value === 'string') note(part!.table, value)
  for (const { column } of Object.values(info?.filters ?? {})) note(info!.sessions.table, column)
  for (const w of info?.sessions.with ?? []) for (const c of w.columns) note(w.table, c)
  for (const { table, is } of info?.shapes ?? []) await body(`select from ${table} t where ${is}`, [])
  for (const name of [info?.persona.of, info?.sight?.persons]) {
    const [, table, column] = /^(.+)\.([^.]+)$/.exec(name ?? '') ?? []
    note(table, column)
  }
  for (const { before, after } of info?.sight?.rows ?? [])
    for (const side of [before, after]) note(side.table, side.id)
  return { read, bare }
}

/** The queries and expressions of a PL/pgSQL function, each as a statement, and names of its variables. */
async function plpgsqlOf(text: string): Promise<{ queries: string[]; names: Set<string> }> {
  await loadModule()
  const found: string[] = []
  const names = new Set(['sqlstate', 'sqlerrm'])
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) for (const item of value) visit(item)
    else if (value !== null && typeof value === 'object')
      for (const [kind, inner] of Object.entries(value as Node)) {
        if (['PLpgSQL_var', 'PLpgSQL_rec', 'PLpgSQL_row'].includes(kind)) names.add(inner.refname)
        if (kind === 'PLpgSQL_expr') {
          const query = String(inner.query)
          found.push(
            /^\s*(select|insert|update|delete|with|merge|values|create|alter|drop)\b/i.test(query)
              ? query
              : `select ${query.replace(/^\s*[a-z_][\w.]*(\[[^\]]*\])?\s*:=/i, '')}`,
          )
        }
        visit(inner)
      }
  }
  visit(await parsePlPgSQL(text))
  return { queries: found, names }
}
