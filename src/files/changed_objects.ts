import { type Node, pathName, relationName, type Statement, strings, wordsOfBlock } from './statements.js'

/**
 * The objects that statements may have created, changed or dropped, by their names in the schema snapshot:
 * `public.chats.session_id` for a table or something on it, `public.f(uuid)` for a function. It does not
 * include what CASCADE drops, or names that code composes.
 */
export class ChangedObjects {
  /** Objects by their full names. */
  readonly #names = new Set<string>()
  /** Tables, views and schemas of which everything may have changed. */
  readonly #whole = new Set<string>()
  /** Prefixes of names that the server generates: `public.chats.chats_session_id_`. */
  readonly #prefixes = new Set<string>()
  /** Functions without their arguments. */
  readonly #functions = new Set<string>()
  /** Dropped indexes, without their tables. */
  readonly #indexes = new Set<string>()
  /** Words in DO blocks. */
  readonly #words = new Set<string>()
  /** Tables whose children may have changed too. */
  readonly #parents = new Set<string>()

  /**
   * `descents` are pairs of parent and child. A change of a table applies to its children, under their names.
   */
  constructor(statements: Statement[], descents: readonly { parent: string; child: string }[] = []) {
    for (const s of statements) this.#add(s)
    for (const parent of this.#parents)
      for (const d of descents)
        if (d.parent === parent) {
          this.#parents.add(d.child)
          this.#whole.add(d.child)
        }
  }

  /** Whether one of the statements may have changed an object of the snapshot. */
  has(kind: string, name: string): boolean {
    const [plain] = kind === 'function' ? name.split('(') : [name]
    if (this.#words.has(plain!.split('.').at(-1)!)) return true
    if (kind === 'function') return this.#functions.has(plain!) || this.#within(name)
    return (
      (kind === 'index' && [...this.#indexes].some(index => name.endsWith(`.${index}`))) ||
      this.#names.has(name) ||
      this.#within(name) ||
      [...this.#prefixes].some(prefix => name.startsWith(prefix))
    )
  }

  #within(name: string): boolean {
    return [...this.#whole].some(whole => name === whole || name.startsWith(`${whole}.`))
  }

  #add({ kind, node }: Statement): void {
    switch (kind) {
      case 'CreateStmt':
      case 'CreateForeignTableStmt':
        this.#makesTable(kind === 'CreateStmt' ? node : node.base)
        return
      case 'CreateTableAsStmt':
        this.#whole.add(relationName(node.into.rel))
        return
      case 'ViewStmt':
        this.#whole.add(relationName(node.view))
        return
      case 'CreateSeqStmt':
      case 'AlterSeqStmt':
        this.#whole.add(relationName(node.sequence))
        return
      case 'IndexStmt':
        this.#makesIndex(node)
        return
      case 'CreateFunctionStmt':
        this.#functions.add(pathName(strings(node.funcname)))
        return
      case 'AlterFunctionStmt':
        this.#functions.add(pathName(strings(node.func.objname)))
        return
      case 'CreatePolicyStmt':
      case 'AlterPolicyStmt':
        this.#names.add(`${relationName(node.table)}.${node.policy_name}`)
        return
      case 'CreateTrigStmt':
        this.#parents.add(relationName(node.relation))
        this.#names.add(`${relationName(node.relation)}.${node.trigname}`)
        return
      case 'AlterTableStmt':
        this.#alters(node)
        return
      case 'GrantStmt':
        this.#grants(node)
        return
      case 'CreateEnumStmt':
      case 'AlterEnumStmt':
      case 'AlterDomainStmt':
        this.#names.add(pathName(strings(node.typeName)))
        return
      case 'CreateDomainStmt':
        this.#names.add(pathName(strings(node.domainname)))
        return
      case 'CreateSchemaStmt':
        this.#makesSchema(node)
        return
      case 'CreatePublicationStmt':
      case 'AlterPublicationStmt':
        this.#names.add(node.pubname)
        return
      case 'RenameStmt':
      case 'AlterObjectSchemaStmt':
      case 'AlterOwnerStmt':
        if (node.relation) this.#moves(node)
        return
      case 'DropStmt':
        this.#drops(node)
        return
      case 'DoStmt':
        for (const word of wordsOfBlock(node)) this.#words.add(word)
    }
  }

  #makesTable(node: Node): void {
    const table = relationName(node.relation)
    const elements: Node[] = node.tableElts ?? []
    // columns come from other tables
    if (node.inhRelations || node.ofTypename || elements.some(e => e.TableLikeClause)) this.#whole.add(table)
    this.#names.add(table)
    // constraints without a name get one with this prefix
    this.#prefixes.add(`${table}.${node.relation.relname}_`)
    for (const { ColumnDef: column, Constraint: constraint } of elements) {
      if (column) {
        this.#names.add(`${table}.${column.colname}`)
        // of serial and identity columns
        this.#sequence(node.relation, column.colname)
      }
      for (const c of [constraint, ...(column?.constraints ?? []).map((n: Node) => n.Constraint)])
        if (c?.conname) this.#names.add(`${table}.${c.conname}`)
    }
  }

  #makesIndex(node: Node): void {
    const table = relationName(node.relation)
    this.#parents.add(table)
    if (node.idxname) this.#names.add(`${table}.${node.idxname}`)
    else this.#prefixes.add(`${table}.${node.relation.relname}_`)
  }

  /** A schema may be made with what is in it. */
  #makesSchema(node: Node): void {
    for (const element of node.schemaElts ?? []) {
      const [kind] = Object.keys(element)
      this.#add({ kind: kind!, node: element[kind!] } as Statement)
    }
  }

  /** Everything on a relation has another name afterwards. */
  #moves({ relation, newname, newschema }: Node): void {
    this.#whole.add(relationName(relation))
    const renamed = { ...relation, relname: newname ?? relation.relname }
    this.#whole.add(relationName({ ...renamed, schemaname: newschema ?? renamed.schemaname }))
  }

  #sequence(range: Node, column: string): void {
    this.#whole.add(relationName({ ...range, relname: `${range.relname}_${column}_seq` }))
  }

  #alters(node: Node): void {
    const table = relationName(node.relation)
    this.#parents.add(table)
    // row security, owner and settings are in the snapshot's line of the table
    this.#names.add(table)
    for (const { AlterTableCmd: cmd } of node.cmds ?? []) {
      const column = cmd.def?.ColumnDef?.colname ?? cmd.name
      switch (cmd.subtype) {
        case 'AT_AddColumn':
          this.#names.add(`${table}.${column}`)
          this.#prefixes.add(`${table}.${node.relation.relname}_${column}_`)
          this.#sequence(node.relation, column)
          break
        case 'AT_AddConstraint': {
          const { conname, keys, contype } = cmd.def.Constraint
          if (conname) this.#names.add(`${table}.${conname}`)
          else this.#prefixes.add(`${table}.${node.relation.relname}_`)
          // the columns of a primary key become NOT NULL
          if (contype === 'CONSTR_PRIMARY')
            for (const key of strings(keys)) this.#names.add(`${table}.${key}`)
          break
        }
        case 'AT_ValidateConstraint':
        case 'AT_DropConstraint':
        case 'AT_AlterConstraint':
        case 'AT_ColumnDefault':
        case 'AT_SetNotNull':
        case 'AT_DropNotNull':
        case 'AT_EnableTrig':
        case 'AT_EnableAlwaysTrig':
        case 'AT_EnableReplicaTrig':
        case 'AT_DisableTrig':
          this.#names.add(`${table}.${cmd.name ?? cmd.def?.Constraint?.conname}`)
          break
        case 'AT_EnableRowSecurity':
        case 'AT_DisableRowSecurity':
        case 'AT_ForceRowSecurity':
        case 'AT_NoForceRowSecurity':
        case 'AT_SetRelOptions':
        case 'AT_ResetRelOptions':
        case 'AT_ReplicaIdentity':
          break
        default:
          // indexes, constraints and policies are dropped with a column or change with its type
          this.#whole.add(table)
      }
    }
  }

  #grants(node: Node): void {
    if (node.targtype !== 'ACL_TARGET_OBJECT') {
      for (const schema of strings(node.objects)) this.#whole.add(schema)
      return
    }
    for (const object of node.objects ?? []) {
      // grants on columns are in the snapshot's lines of the columns
      if (object.RangeVar) {
        const table = relationName(object.RangeVar)
        this.#names.add(table)
        for (const { AccessPriv: right } of node.privileges ?? [])
          for (const column of strings(right?.cols)) this.#names.add(`${table}.${column}`)
      }
      if (object.ObjectWithArgs) this.#functions.add(pathName(strings(object.ObjectWithArgs.objname)))
    }
  }

  #drops(node: Node): void {
    for (const object of node.objects ?? []) {
      const path = object.TypeName ? strings(object.TypeName.names) : strings([object])
      switch (node.removeType) {
        case 'OBJECT_FUNCTION':
        case 'OBJECT_PROCEDURE':
        case 'OBJECT_ROUTINE':
          this.#functions.add(pathName(strings(object.ObjectWithArgs?.objname)))
          break
        case 'OBJECT_TRIGGER':
        case 'OBJECT_POLICY':
          this.#names.add(`${pathName(path.slice(0, -1))}.${path.at(-1)}`)
          break
        case 'OBJECT_INDEX':
          this.#indexes.add(path.at(-1)!)
          break
        case 'OBJECT_SCHEMA':
          this.#whole.add(path.at(-1)!)
          break
        default:
          this.#whole.add(pathName(path))
      }
    }
  }
}
