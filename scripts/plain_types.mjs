// Makes the declarations in dist/types need no package: what zod infers is written out, and what the
// library's own types do not reach is left out. The end of `npm run build:types`.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import ts from 'typescript-api'
import { root } from './root.mjs'

const types = join(root, 'dist/types')
/** The only source whose public types are inferred by zod. */
const inferring = 'model/report'

writeOut()
keepReachable()

/** Writes every `z.infer<typeof x>` of the declarations out, and takes the imports that it needed away. */
function writeOut() {
  const source = join(root, `src/${inferring}.ts`)
  const read = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(read.config, ts.sys, root)
  const program = ts.createProgram([source], options)
  const checker = program.getTypeChecker()
  const flags = ts.TypeFormatFlags.NoTruncation | ts.TypeFormatFlags.InTypeAlias
  const inferred = new Map()
  const visit = node => {
    if (ts.isTypeReferenceNode(node) && node.typeName.getText() === 'z.infer')
      inferred.set(node.getText(), checker.typeToString(checker.getTypeFromTypeNode(node), undefined, flags))
    ts.forEachChild(node, visit)
  }
  visit(program.getSourceFile(source))
  const file = join(types, `${inferring}.d.ts`)
  let text = readFileSync(file, 'utf8')
  for (const [written, plain] of inferred) text = text.replaceAll(written, plain)
  text = text.replace(/^import [^;]*? from '(zod|\.\/schema\.js)';\n/gm, '')
  if (/\bz\.|Schema\b/.test(text)) throw new Error(`${relative(root, file)} still needs zod`)
  writeFileSync(file, text)
}

/** Deletes the declarations that nobody who imports the package can reach. */
function keepReachable() {
  const reached = new Set()
  const open = [join(types, 'index.d.ts')]
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (reached.has(file) || !existsSync(file)) continue
    reached.add(file)
    for (const [, from, of] of readFileSync(file, 'utf8').matchAll(/from '([^']+)'|import\("([^"]+)"\)/g)) {
      const name = from ?? of
      if (!name.startsWith('.')) throw new Error(`${relative(root, file)} needs the package ${name}`)
      open.push(join(dirname(file), name.replace(/\.js$/, '.d.ts')))
    }
  }
  for (const name of readdirSync(types, { recursive: true })) {
    const file = join(types, name)
    if (file.endsWith('.d.ts') && !reached.has(file)) rmSync(file)
  }
}
