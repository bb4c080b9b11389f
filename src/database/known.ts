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

/** Schemas that no statement of an application reads or writes by itself. */
export const aside = /^(rethread_archive|rethread)\./

/** What a catalog holds, as far as a plan's statements need it; names have their schema. */
interface CatalogFacts {
  foreignKeys: ForeignKey[]
  kinds: Map<string, string>
  /** Indexes and sequences of columns -> their table. */
  owners: Map<string, string>
  /** Extended statistics -> their table. */
  statistics: Map<string, string>
  /** Tables that have an index. */
  indexed: Set<string>
  descents: Descent[]
  relations: Map<string, RelationDetails>
  types: Map<string, TypeFacts>
  functions: Map<string, FunctionFacts>
  alike: Set<string>
  /** `domain>table`. */
  domains: Set<string>
  /** What new tables and functions are born with. */
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
 * What is known of the database when a statement is judged: the catalog, and what the statements before it
 * in the plan will have changed (`learn.ts`). Where nobody has looked (`looked` is false), every answer is
 * "unknown" and the judges say the worst.
 */
export class Known implements CatalogFacts {
  /** Tables and views that the plan has made so far: nobody uses them yet. */
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

  /** Whether a table, view or sequence of this name exists; null when nobody has looked. */
  exists(name: string): boolean | null {
    return this.kinds.has(name) || this.made.has(name) ? true : this.looked ? false : null
  }

  /**
   * The table that is locked where this name is: an index and a sequence of a column count as their table.
   */
  place(name: string): string {
    return this.owners.get(name) ?? name
  }

  /** True when the table is divided into partitions. */
  isPartitioned(table: string): boolean {
    return this.kinds.get(table) === 'p'
  }

  /**
   * True when rows are stored under this very name: not in a view, and not in a table whose partitions have
   * them.
   */
  hasRows(table: string): boolean {
    return !['p', 'v', 'S', 'f'].includes(this.kinds.get(table) ?? 'r')
  }

  /** A table and everything that inherits from it, partitions included. */
  family(table: string): string[] {
    const found = new Set([table])
    for (const parent of found) for (const d of this.descents) if (d.parent === parent) found.add(d.child)
    return [...found]
  }

  /** A table, and its partitions where it has any: what inherits in the other way is left alone. */
  withPartitions(table: string): string[] {
    return this.isPartitioned(table) ? this.family(table) : [table]
  }

  /** The table that this one is a partition of. */
  partitionOf(table: string): string | null {
    return this.descents.find(d => d.child === table && d.partition)?.parent ?? null
  }

  /** The partition that takes what no other takes. */
  defaultOf(table: string): string | null {
    return this.descents.find(d => d.parent === table && d.isDefault)?.child ?? null
  }
}

/** Knowledge where there is no database to ask: what depends on it is said at its worst. */
export const knowsNothing = (): Known => new Known(noFacts(), false)

/** What the catalog says of all that the statements name. */
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

/** A dotted name as the catalog is asked for it: with its schema where the statement gives one. */
export const askedName = (names: Node[] | undefined): string => strings(names).slice(-2).join('.')

/** The functions that statements name, as `Known.functions` has them. */
export const functionsNamed = (statements: Statement[]): ReadonlySet<string> =>
  namesAskedFor(statements).functions

/** The relations, types, functions and domains that statements name anywhere. */
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
        // the name of a policy or a trigger comes after that of its table
        for (const name of [path, path.slice(0, -1)]) if (name.length > 0) relations.add(pathName(name))
      }
  }
  return { relations, types, functions, domains }
}
