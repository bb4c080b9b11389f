import {
  type Node,
  pathName,
  relationName,
  type Statement,
  strings,
  visitNodes,
} from '../files/statements.js'
import type { ForeignKey } from '../model/plan.js'
import {
  alikeTypes,
  allForeignKeys,
  belongings,
  type DefaultGrant,
  type Descent,
  defaultGrants,
  descents,
  domainTables,
  type FunctionFacts,
  functionDetails,
  type RelationDetails,
  relationDetails,
  relationKinds,
  type TypeFacts,
  typeDetails,
} from './known.sql.js'
import type { Db } from './types.js'

/** Schemas that no statement of an application uses directly. */
export const aside = /^(rethread_archive|rethread)\./

/** The facts of the catalog that a plan's statements need. Names have their schema. */
interface CatalogFacts {
  foreignKeys: ForeignKey[]
  kinds: Map<string, string>
  /** By index or sequence of a column: its table. */
  owners: Map<string, string>
  /** By extended statistics: their table. */
  statistics: Map<string, string>
  /** Tables with an index. */
  indexed: Set<string>
  descents: Descent[]
  relations: Map<string, RelationDetails>
  types: Map<string, TypeFacts>
  functions: Map<string, FunctionFacts>
  alike: Set<string>
  /** Entries `domain>table`. */
  domains: Set<string>
  /** Default privileges for new tables and functions. */
  defaults: DefaultGrant[]
}

const noFacts = (): CatalogFacts => ({
  foreignKeys: [],
  kinds: new Map(),
  owners: new Map(),
  statistics: new Map(),
  indexed: new Set(),
  descents: [],
  relations: new Map(),
  types: new Map(),
  functions: new Map(),
  alike: new Set(),
  domains: new Set(),
  defaults: [],
})

/**
 * What is known about the database when a statement is judged: the catalog, and the changes of earlier
 * statements in the plan (`learn_changes.ts`). If `looked` is false the catalog was not read, every answer is
 * "unknown", and the worst is assumed.
 */
export class Known implements CatalogFacts {
  /** Tables and views that the plan has created so far. They have no users yet. */
  readonly made = new Set<string>()
  foreignKeys: ForeignKey[]
  readonly kinds: Map<string, string>
  readonly owners: Map<string, string>
  readonly statistics: Map<string, string>
  readonly indexed: Set<string>
  descents: Descent[]
  readonly relations: Map<string, RelationDetails>
  readonly types: Map<string, TypeFacts>
  readonly functions: Map<string, FunctionFacts>
  readonly alike: Set<string>
  readonly domains: Set<string>
  readonly defaults: DefaultGrant[]

  constructor(
    facts: CatalogFacts,
    readonly looked: boolean,
  ) {
    this.foreignKeys = facts.foreignKeys
    this.kinds = facts.kinds
    this.owners = facts.owners
    this.statistics = facts.statistics
    this.indexed = facts.indexed
    this.descents = facts.descents
    this.relations = facts.relations
    this.types = facts.types
    this.functions = facts.functions
    this.alike = facts.alike
    this.domains = facts.domains
    this.defaults = facts.defaults
  }

  /** Whether a table, view or sequence with this name exists; null if the catalog was not read. */
  exists(name: string): boolean | null {
    return this.kinds.has(name) || this.made.has(name) ? true : this.looked ? false : null
  }

  /** The table that is locked for this name. An index or a column's sequence counts as its table. */
  place(name: string): string {
    return this.owners.get(name) ?? name
  }

  /** True if the table is partitioned. */
  isPartitioned(table: string): boolean {
    return this.kinds.get(table) === 'p'
  }

  /** True if rows are stored in this relation itself: not for a view, nor for a partitioned table. */
  hasRows(table: string): boolean {
    return !['p', 'v', 'S', 'f'].includes(this.kinds.get(table) ?? 'r')
  }

  /** A table with all of its children and partitions. */
  family(table: string): string[] {
    const found = new Set([table])
    for (const parent of found) for (const d of this.descents) if (d.parent === parent) found.add(d.child)
    return [...found]
  }

  /** A table with its partitions, without other children. */
  withPartitions(table: string): string[] {
    return this.isPartitioned(table) ? this.family(table) : [table]
  }

  /** The parent of a partition; null if it is none. */
  partitionOf(table: string): string | null {
    return this.descents.find(d => d.child === table && d.partition)?.parent ?? null
  }

  /** The default partition of a table; null if it has none. */
  defaultOf(table: string): string | null {
    return this.descents.find(d => d.parent === table && d.isDefault)?.child ?? null
  }
}

/** An object without facts, for use without a database. The worst is assumed. */
export const knowsNothing = (): Known => new Known(noFacts(), false)

/** The catalog's facts about everything that the statements name. */
export async function knownOf(sql: Db, statements: Statement[]): Promise<Known> {
  const named = namesAskedFor(statements)
  const tree = await descents(sql)
  const relations = new Set(named.relations)
  for (const parent of relations) for (const d of tree) if (d.parent === parent) relations.add(d.child)
  const ask = async <T>(names: Set<string>, query: (sql: Db, names: string[]) => Promise<T[]>) =>
    names.size === 0 ? [] : query(sql, [...names])
  const [foreignKeys, kinds, parts, details, types, functions, alike, domains, defaults] = await Promise.all([
    allForeignKeys(sql),
    relationKinds(sql),
    belongings(sql),
    relationDetails(sql, [...relations]),
    ask(named.types, typeDetails),
    ask(named.functions, functionDetails),
    alikeTypes(sql),
    ask(named.domains, domainTables),
    defaultGrants(sql),
  ])
  const tableOf = (kinds: string[]) =>
    new Map(parts.filter(p => kinds.includes(p.kind)).map(p => [p.name, p.table]))
  return new Known(
    {
      foreignKeys: [...foreignKeys],
      kinds,
      owners: tableOf(['index', 'sequence']),
      statistics: tableOf(['statistics']),
      indexed: new Set(parts.filter(p => p.kind === 'index').map(p => p.table)),
      descents: [...tree],
      relations: details,
      types: new Map(types.map(t => [t.asked, t])),
      functions: new Map(functions.map(f => [f.asked, f])),
      alike,
      domains: new Set(domains),
      defaults: [...defaults],
    },
    true,
  )
}

/** A dotted name for a look-up in the catalog, with its schema if the statement has one. */
export const askedName = (names: Node[] | undefined): string => strings(names).slice(-2).join('.')

/** The functions in statements, by their names in `Known.functions`. */
export const functionsNamed = (statements: Statement[]): ReadonlySet<string> =>
  namesAskedFor(statements).functions

/** The relations, types, functions and domains in statements. */
function namesAskedFor(statements: Statement[]) {
  const relations = new Set<string>()
  const types = new Set<string>()
  const functions = new Set<string>()
  const domains = new Set<string>()
  for (const { kind, node } of statements) {
    visitNodes(node, part => {
      if (typeof part.relname === 'string') relations.add(relationName(part))
      if (Array.isArray(part.funcname)) functions.add(askedName(part.funcname))
      if (Array.isArray(part.names)) types.add(askedName(part.names))
    })
    if (kind === 'AlterDomainStmt') domains.add(pathName(strings(node.typeName)))
    if (kind === 'DropStmt')
      for (const object of node.objects) {
        const path = strings([object])
        // the name of a policy or trigger follows that of its table
        for (const name of [path, path.slice(0, -1)]) if (name.length > 0) relations.add(pathName(name))
      }
  }
  return { relations, types, functions, domains }
}
