// Checks that a commit can be released, packs it, and prints what a person does next. It publishes nothing
// itself. `npm run release [-- --tag <tag that is to be published>]`; CONTRIBUTING.md, "Release".
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { root } from './root.mjs'

let asked
try {
  asked = parseArgs({ options: { tag: { type: 'string' } } }).values.tag
} catch (error) {
  console.error(`${error.message}\nUsage: npm run release [-- --tag <tag that is to be published>]`)
  process.exit(2)
}

const json = file => JSON.parse(readFileSync(join(root, file), 'utf8'))
const git = (...args) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trimEnd()

/** Runs an npm script with its output shown. True when it passed. */
function npm(...args) {
  console.log(`\n$ npm ${args.join(' ')}`)
  // a shell, because npm is npm.cmd on Windows
  return spawnSync('npm', args, { cwd: root, stdio: 'inherit', shell: true }).status === 0
}

/** What is wrong with the files and the repository, each with the fix; all of it at once. */
function faults(version, tag) {
  const found = []
  if (asked !== undefined && asked !== tag)
    found.push(`Tag ${asked} is not that of version ${version} in package.json. Its tag would be ${tag}.`)
  const dirty = git('status', '--porcelain')
  if (dirty) found.push(`The working tree is not clean. Commit or remove what git status shows:\n${dirty}`)

  const locked = json('package-lock.json').version
  if (locked !== version)
    found.push(`package-lock.json has version ${locked}, package.json ${version}. Run: npm install`)

  const changelog = readFileSync(join(root, 'CHANGELOG.md'), 'utf8')
  const entries = changelog.split(/^## /m).slice(1)
  const entry = entries.find(e => /^\[?([^\s\]]+)/.exec(e)?.[1] === version)
  const [heading, ...body] = entry?.split('\n') ?? []
  if (entry === undefined)
    found.push(`CHANGELOG.md has no section for ${version}. Add one: ## ${version} - YYYY-MM-DD`)
  else if (!/\d{4}-\d{2}-\d{2}/.test(heading))
    found.push(`The section \`## ${heading}\` of CHANGELOG.md has no date. Write: ## ${version} - YYYY-MM-DD`)
  else if (!body.some(line => line.startsWith('- ')))
    found.push(`The section \`## ${heading}\` of CHANGELOG.md is empty. Write what changed for users.`)

  // the release workflow runs on the tag itself
  if (git('tag', '--list', tag) && git('rev-list', '-n', '1', tag) !== git('rev-parse', 'HEAD'))
    found.push(
      `Tag ${tag} is on another commit. Raise the version: npm version <version> --no-git-tag-version`,
    )
  return found
}

const { version } = json('package.json')
const tag = `v${version}`
const found = faults(version, tag)
if (found.length > 0) {
  console.error(found.join('\n\n'))
  process.exit(1)
}
mkdirSync(join(root, '.rethread'), { recursive: true })
for (const step of [
  ['run', '-s', 'lint'],
  ['run', '-s', 'typecheck'],
  ['run', '-s', 'test:all'],
  ['pack', '--pack-destination', '.rethread'],
]) {
  if (npm(...step)) continue
  console.error(`\n\`npm ${step.join(' ')}\` failed: ${tag} is not ready.`)
  process.exit(1)
}
console.log(`
${tag} is ready: .rethread/rethread-${version}.tgz is what users will get. To release it:

  1. Install the tarball somewhere and try it:   npm install <path>/.rethread/rethread-${version}.tgz
  2. Tag this commit, signed:                    git tag -s ${tag} -m ${tag}
  3. Push the tag:                               git push origin ${tag}

The workflow .github/workflows/release.yml checks the tag and publishes it to npm with provenance.
Without the workflow, from a clean checkout of the tag:   npm publish --access public
`)
