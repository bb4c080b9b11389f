import { pathName, type Statement } from '../files/statements.js'
import { namesIn } from '../model/table_name.js'
import { type AccessChange, unknownOf } from './access_types.js'
import { declaredLocks } from './statement_locks.js'

/**
 * A comment above a statement whose text does not show what access it changes. `-- access: public.chats`
 * names a table whose policies, row security or rights it changes; there may be several. The other forms
 * are `-- access: partitions of public.chats` and `-- access: none`.
 */
const accessDeclaration = /^--[ \t]*access:[ \t]*(?:(none)|(partitions of )?((?:"[^"]+"|[^\s"])+))[ \t]*$/gim

const nameInText = /(?<![\w."])(?:"[^"]+"|[a-z_]\w*)\.(?:"[^"]+"|[a-z_]\w*)(?![\w."(])/gi

/**
 * The access changes of a DO block. Without an `-- access:` comment, the tables are those that its `--
 * locks:` comment names: a change of policies or row security takes a lock. GRANT and REVOKE take none: if
 * the block has one, every table that it names may be affected.
 */
export function accessOfBlock(block: Statement): AccessChange[] {
  const { above, text } = block
  const tableOf = (name: string): string[] => {
    const parts = namesIn(name)
    return parts ? [pathName(parts)] : []
  }
  const said = [...above.matchAll(accessDeclaration)]
  if (said.length > 0)
    return said.flatMap(([, none, partitions, table]) =>
      none || partitions ? [] : [unknownOf(tableOf(table!))],
    )
  const locks = declaredLocks(block)
  if (!locks) return [unknownOf(null)]
  const body = text.replace(/--.*$/gm, '')
  const locked = locks.flatMap(({ parts, mode }) =>
    parts && !/^(ACCESS|ROW) SHARE$/.test(mode) ? [pathName(parts)] : [],
  )
  const named = [...body.matchAll(nameInText)].flatMap(([name]) => tableOf(name))
  const grants = /\b(grant|revoke)\b/i.test(body)
  if (grants && named.length === 0) return [unknownOf(null)]
  const functions = [...body.matchAll(/\bfunction\s+((?:"[^"]+"|\w+)\.(?:"[^"]+"|\w+))/gi)].flatMap(
    ([, name]) => tableOf(name!),
  )
  const tables = [...new Set([...locked, ...(grants ? named : [])])]
  return tables.length + functions.length === 0 ? [] : [unknownOf(tables, functions)]
}

/** The tables whose partitions a block changes, according to its `-- access:` comment. */
export const partitionsIn = ({ kind, above }: Statement): string[] =>
  kind !== 'DoStmt'
    ? []
    : [...above.matchAll(accessDeclaration)].flatMap(([, , partitions, table]) => {
        const parts = partitions ? namesIn(table!) : null
        return parts ? [pathName(parts)] : []
      })
