import { readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import ts from 'typescript-api'

/** A file under `src/`, parsed. `path` counts from there, as `run/open_run.ts`. */
export interface Source {
  path: string
  /** The folder right below `src/`; the file's own name for one at the top. */
  folder: string
  lines: number
  tree: ts.SourceFile
  /** What it imports or exports from, types included: a path under `src/`, or the name of a package. */
  imports: string[]
  /** Names that it declares at its top, exported or not. */
  names: string[]
}

/** Parses one file. */
export function parse(path: string, text: string): Source {
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
  return {
    path,
    folder: path.split('/')[0]!,
    lines: text.trimEnd().split('\n').length,
    tree,
    imports: [...new Set(specifiers(tree).map(from => resolve(path, from)))],
    names: tree.statements.flatMap(namesOf),
  }
}

/** All files below a folder. */
export const readSources = (folder: string): Source[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.ts'))
    .sort()
    .map(file => parse(file, readFileSync(join(folder, file), 'utf8')))

const resolve = (path: string, from: string): string =>
  from.startsWith('.') ? posix.join(posix.dirname(path), from).replace(/\.js$/, '.ts') : from

/** Every node below one, itself included. */
function* nodes(node: ts.Node): Generator<ts.Node> {
  yield node
  for (const child of node.getChildren()) yield* nodes(child)
}

function specifiers(tree: ts.SourceFile): string[] {
  const found: (ts.Node | undefined)[] = []
  for (const node of nodes(tree)) {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) found.push(node.moduleSpecifier)
    if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) found.push(node.argument.literal)
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      found.push(node.arguments[0])
  }
  return found.flatMap(s => (s && ts.isStringLiteralLike(s) ? [s.text] : []))
}

function namesOf(statement: ts.Statement): string[] {
  if (ts.isVariableStatement(statement))
    return statement.declarationList.declarations.map(d => d.name.getText())
  const named =
    ts.isFunctionDeclaration(statement) ||
    ts.isClassDeclaration(statement) ||
    ts.isInterfaceDeclaration(statement) ||
    ts.isTypeAliasDeclaration(statement) ||
    ts.isEnumDeclaration(statement)
  return named && statement.name ? [statement.name.text] : []
}

/**
 * Groups of files that import each other in a circle: strongly connected components
 * of more than one (Tarjan).
 */
export function circles(files: Source[]): string[][] {
  const imports = new Map(files.map(f => [f.path, f.imports]))
  const order = new Map<string, number>()
  const lowest = new Map<string, number>()
  const open: string[] = []
  const found: string[][] = []
  const visit = (path: string): void => {
    order.set(path, order.size)
    lowest.set(path, order.get(path)!)
    open.push(path)
    for (const next of imports.get(path) ?? []) {
      if (!imports.has(next)) continue
      if (!order.has(next)) visit(next)
      if (open.includes(next)) lowest.set(path, Math.min(lowest.get(path)!, lowest.get(next)!))
    }
    if (lowest.get(path) !== order.get(path)) return
    const circle = open.splice(open.indexOf(path))
    if (circle.length > 1 || imports.get(path)!.includes(path)) found.push(circle.sort())
  }
  for (const { path } of files) if (!order.has(path)) visit(path)
  return found
}

/**
 * Uses of names that nobody declares: the globals that are asked for, by line. `x.process` and
 * `{ process: 1 }` are none.
 */
export function globalsUsed(file: Source, names: string[]): string[] {
  const modules = names.flatMap(n => [n, `node:${n}`])
  const found = file.imports.filter(i => modules.includes(i)).map(i => `imports ${i}`)
  for (const node of nodes(file.tree))
    if (ts.isIdentifier(node) && names.includes(node.text) && !isMemberName(node)) found.push(at(file, node))
  return found
}

function isMemberName(node: ts.Identifier): boolean {
  const { parent } = node
  if (ts.isPropertyAccessExpression(parent)) return parent.name === node
  if (ts.isQualifiedName(parent)) return parent.right === node
  if (ts.isBindingElement(parent)) return parent.propertyName === node
  return (
    (ts.isPropertyAssignment(parent) ||
      ts.isPropertySignature(parent) ||
      ts.isPropertyDeclaration(parent) ||
      ts.isMethodSignature(parent) ||
      ts.isMethodDeclaration(parent)) &&
    parent.name === node
  )
}

/** Where a file reads the clock or the dice of the machine, or waits by it. */
export function clockReads(file: Source): string[] {
  const found = globalsUsed(file, ['performance', 'setTimeout', 'setInterval', 'setImmediate'])
  for (const node of nodes(file.tree)) {
    const text = ts.isPropertyAccessExpression(node) ? node.getText() : ''
    const now =
      (ts.isNewExpression(node) || ts.isCallExpression(node)) &&
      node.expression.getText() === 'Date' &&
      !node.arguments?.length
    if (['Date.now', 'Math.random'].includes(text) || now) found.push(at(file, node))
  }
  return found
}

/** Begins as a statement that we would send; SQL of ours is written in lower case. */
const statements = [
  /select (from\b|'?\d|.*(\(|\*|\bfrom \S+\s*($|where|join|order|limit|group)))/s,
  /insert into /,
  /update \S+ set /,
  /delete from /,
  /with (recursive )?\w+ (\(.*?\) )?as (materialized |not materialized )?\(/s,
  /create (or replace |unique |temporary )*(table|index|schema|function|trigger|view|policy|type|role) /,
  /(alter|drop) (table|index|schema|function|trigger|view|policy|type|role|column|constraint) /,
  /truncate /,
  /lock table /,
  /set (local |session |transaction )?\w+ ?(=|to) /,
  /reset \w+/,
  /do \$/,
  /(begin|commit|rollback);/,
  /savepoint \w/,
  /explain (\(|analyze)/,
  /(grant|revoke) .* on /,
  /call \w+(\.\w+)*\(/,
]
const statement = new RegExp(`^\\s*(${statements.map(s => s.source).join('|')})`, 's')

/**
 * Text of queries: templates tagged with a connection, texts that are sent as they are, and texts
 * that read as a statement.
 */
export function queries(file: Source): string[] {
  const found: string[] = []
  for (const node of nodes(file.tree)) {
    const tagged = ts.isTaggedTemplateExpression(node) && /(^|\.)(sql|tx)$/.test(node.tag.getText())
    const sent = ts.isPropertyAccessExpression(node) && node.name.text === 'unsafe'
    const said =
      (ts.isStringLiteralLike(node) || ts.isTemplateHead(node)) &&
      !ts.isTaggedTemplateExpression(node.parent) &&
      statement.test(node.text)
    if (tagged || sent || said) found.push(at(file, node))
  }
  return found
}

/**
 * Templates with a backslash that JavaScript takes away: `\\s` in one is the letter s, to the server too.
 * Those of String.raw keep theirs.
 */
export function lostBackslashes(file: Source): string[] {
  const found: string[] = []
  for (const node of nodes(file.tree)) {
    const part =
      ts.isNoSubstitutionTemplateLiteral(node) ||
      ts.isTemplateHead(node) ||
      ts.isTemplateMiddle(node) ||
      ts.isTemplateTail(node)
    if (!part) continue
    const whole = ts.isNoSubstitutionTemplateLiteral(node) ? node.parent : node.parent.parent
    const tagged = ts.isTemplateExpression(whole) ? whole.parent : whole
    if (ts.isTaggedTemplateExpression(tagged) && tagged.tag.getText() === 'String.raw') continue
    if (/(?<!\\)(\\\\)*\\[^\\nrtux0`$'"\n]/.test(node.getText())) found.push(at(file, node))
  }
  return found
}

/** Names of the functions that a file declares as async. */
export const asyncNames = (file: Source): string[] =>
  [...nodes(file.tree)]
    .filter(ts.isFunctionDeclaration)
    .filter(f => f.modifiers?.some(m => m.kind === ts.SyntaxKind.AsyncKeyword))
    .flatMap(f => (f.name ? [f.name.text] : []))

/**
 * Returns of a promise that nobody waits for while an `await using` closes: should it be rejected meanwhile,
 * Node ends the process for want of a handler.
 */
export function looseReturns(file: Source, isAsync: (name: string) => boolean): string[] {
  const found: string[] = []
  const visit = (node: ts.Node, isGuarded: boolean): void => {
    const guards =
      ts.isFunctionLike(node) || ts.isSourceFile(node)
        ? false
        : isGuarded || (ts.isBlock(node) && node.statements.some(isAwaitUsing))
    if (guards && ts.isReturnStatement(node) && node.expression)
      for (const call of results(node.expression))
        if (ts.isCallExpression(call) && isAsync(call.expression.getText())) found.push(at(file, node))
    ts.forEachChild(node, child => visit(child, guards))
  }
  visit(file.tree, false)
  return found
}

const isAwaitUsing = (statement: ts.Statement): boolean =>
  ts.isVariableStatement(statement) &&
  (statement.declarationList.flags & ts.NodeFlags.AwaitUsing) === ts.NodeFlags.AwaitUsing

/** What an expression may come to: both arms of a condition. */
function results(expression: ts.Expression): ts.Expression[] {
  if (ts.isParenthesizedExpression(expression)) return results(expression.expression)
  if (ts.isConditionalExpression(expression))
    return [...results(expression.whenTrue), ...results(expression.whenFalse)]
  return [expression]
}

/** Catches that do not look at what they catch: a fault of the program itself would not be seen. */
export const blindCatches = (file: Source): string[] =>
  [...nodes(file.tree)]
    .filter(node => {
      const { caught, body } = handlerOf(node)
      return body && ![...nodes(body)].some(n => ts.isIdentifier(n) && n.text === caught)
    })
    .map(node => at(file, node))

/** What a `catch`, of a statement or of a promise, calls the error, and what it does with it. */
function handlerOf(node: ts.Node): { caught?: string | undefined; body?: ts.Node } {
  if (ts.isCatchClause(node)) return { caught: node.variableDeclaration?.name.getText(), body: node.block }
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return {}
  const [handler] = node.arguments
  if (node.expression.name.text !== 'catch' || !handler || !ts.isArrowFunction(handler)) return {}
  return { caught: handler.parameters[0]?.name.getText(), body: handler.body }
}

/** Exported declarations without a docstring. */
export const undocumented = (file: Source): string[] =>
  file.tree.statements
    .filter(
      s => ts.canHaveModifiers(s) && ts.getModifiers(s)?.some(m => m.kind === ts.SyntaxKind.ExportKeyword),
    )
    .filter(s => namesOf(s).length > 0 && ts.getJSDocCommentsAndTags(s).length === 0)
    .map(s => `${file.path}: ${namesOf(s).join(', ')}`)

/** All string literals of a file. */
export const strings = (file: Source): string[] =>
  [...nodes(file.tree)].filter(ts.isStringLiteralLike).map(n => n.text)

const at = (file: Source, node: ts.Node): string =>
  `${file.path}:${file.tree.getLineAndCharacterOfPosition(node.getStart()).line + 1}: ${node.getText().slice(0, 60).replace(/\s+/g, ' ')}`
