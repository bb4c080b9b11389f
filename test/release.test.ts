import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { root } from './support/database.js'
import { folder } from './support/folder.js'

const ready = '# Changelog\n\n## 1.2.0 - 2026-01-31\n\n### Fixed\n\n- A fault.\n'

/**
 * A repository of its own with the release script; its scripts of npm say their name and pass, but `failing`.
 */
function repository(changelog: string, { locked = '1.2.0', failing = '' } = {}) {
  const says = (name: string) => `echo ran ${name}${name === failing ? ' && exit 1' : ''}`
  const scripts = Object.fromEntries(['lint', 'typecheck', 'test:all'].map(name => [name, says(name)]))
  const repo = folder({
    'package.json': JSON.stringify({ name: 'rethread', version: '1.2.0', scripts }),
    'package-lock.json': JSON.stringify({ name: 'rethread', version: locked }),
    'CHANGELOG.md': changelog,
    '.gitignore': '.rethread/\n',
  })
  cpSync(join(root, 'scripts'), join(repo, 'scripts'), { recursive: true })
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], { cwd: repo })
  git('init', '-q')
  git('add', '.')
  git('commit', '-qm', 'A release')
  const release = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/release.mjs', ...args], {
      cwd: repo,
      encoding: 'utf8',
    })
    return { status, stdout, stderr }
  }
  return { repo, git, release }
}

test('a commit that is ready is checked, packed, and the next steps are printed', () => {
  const { status, stdout, stderr } = repository(ready).release()
  expect([status, stdout]).toEqual([0, expect.stringContaining('git tag -s v1.2.0')])
  expect(stdout.match(/^ran .*/gm)).toEqual(['ran lint', 'ran typecheck', 'ran test:all'])
  expect(stderr + stdout).toContain('rethread-1.2.0.tgz')
})

test('everything that is wrong is named at once, with its fix, and nothing is run', () => {
  const { repo, git, release } = repository('# Changelog\n\n## 1.2.0 (unreleased)\n', { locked: '1.1.0' })
  git('tag', 'v1.2.0')
  git('commit', '-qm', 'Another', '--allow-empty')
  writeFileSync(join(repo, 'left.ts'), '')
  const { status, stdout, stderr } = release()
  expect([status, stdout]).toEqual([1, ''])
  for (const part of ['?? left.ts', '1.1.0', '(unreleased)` of CHANGELOG.md has no date', 'Tag v1.2.0 is on'])
    expect(stderr).toContain(part)
})

test.each([
  ['no section', '# Changelog\n\n## 1.1.0 - 2026-01-01\n\n- A fault.\n', 'no section for 1.2.0'],
  ['an empty section', '# Changelog\n\n## [1.2.0] - 2026-01-31\n\n## 1.1.0\n\n- A fault.\n', 'is empty'],
])('a CHANGELOG with %s is refused', (_, changelog, message) => {
  const { status, stderr } = repository(changelog).release()
  expect([status, stderr]).toEqual([1, expect.stringContaining(message)])
})

test('the release workflow runs on the tag itself, which must be that of the version', () => {
  const { git, release } = repository(ready)
  git('tag', 'v1.2.0')
  expect(release('--tag', 'v1.2.0').status).toBe(0)
  const { status, stderr } = release('--tag', 'v1.3.0')
  expect([status, stderr]).toEqual([1, expect.stringContaining('Tag v1.3.0 is not that of version 1.2.0')])
})

test('a failing test ends it, and nothing is packed', () => {
  const { status, stdout, stderr } = repository(ready, { failing: 'test:all' }).release()
  expect([status, stderr]).toEqual([1, expect.stringContaining('v1.2.0 is not ready')])
  expect(stdout).not.toContain('git tag')
})
