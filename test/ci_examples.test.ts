import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { validate } from 'dockerfile-utils'
import { Job } from 'kubernetes-models/batch/v1'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { bash, installed } from './support/action.js'
import { database, newest, root } from './support/database.js'
import { folder } from './support/folder.js'

const example = (name: string) => readFileSync(join(root, 'examples/ci', name), 'utf8')
const tracks = {
  'db/migrations/mine/001_size.sql': 'alter table public.notes add size int;',
  'db/rollbacks/mine/001_size.sql': 'alter table public.notes drop column size;',
  'db/verify/mine/nothing.sql': "select 'x' as object, 'y' as detail where false",
}

/** A repository with tracks in `db/`, in which this package is installed. */
function repository(more: Record<string, string> = {}): string {
  const made = folder({ ...tracks, ...more })
  const db = installed(join(made, 'db'))
  mkdirSync(join(db, 'node_modules/.bin'))
  symlinkSync(join(root, 'dist/cli/main.js'), join(db, 'node_modules/.bin/rethread'))
  return made
}

/** Puts programs of a test's own before those of the machine; the variable that finds them. */
function programs(where: string, scripts: Record<string, string>): Record<string, string> {
  mkdirSync(join(where, 'bin'))
  for (const [name, script] of Object.entries(scripts)) {
    writeFileSync(join(where, 'bin', name), `#!/usr/bin/env bash\nset -eu\n${script}\n`)
    chmodSync(join(where, 'bin', name), 0o755)
  }
  return { PATH: `${join(where, 'bin')}:${process.env.PATH}` }
}

const notes = async () => {
  const db = await database(newest(), 'empty')
  await db.sql`create table public.notes (id int primary key)`
  const hasSize = async () =>
    (await db.sql`select from information_schema.columns where table_name = 'notes' and column_name = 'size'`)
      .length === 1
  return Object.assign(db, { hasSize })
}

test('deploy.sh plans, and applies what it has planned', async () => {
  await using db = await notes()
  const cwd = join(repository({ 'db/deploy.sh': example('deploy.sh') }), 'db')
  const env = { DATABASE_URL: db.url }
  const planned = await bash('bash deploy.sh plan', env, cwd)
  expect([planned.code, await db.hasSize()]).toEqual([0, false])
  expect(readFileSync(join(cwd, 'plan.md'), 'utf8')).toMatch(/^## rethread plan: Ready/)
  const migrated = await bash('bash deploy.sh migrate', env, cwd)
  expect([migrated.code, migrated.log, await db.hasSize()]).toEqual([
    0,
    expect.stringContaining('Verdict'),
    true,
  ])
  expect((await bash('bash deploy.sh mirgate', env, cwd)).code).toBe(2)
})

test('gitlab.yml is what GitLab accepts; its jobs run: plan, then migrate with the artifact', async () => {
  await using db = await notes()
  const cwd = repository({ '.gitlab-ci.yml': example('gitlab.yml') })
  const wrong = folder({ '.gitlab-ci.yml': example('gitlab.yml').replace('when: always', 'whenn: always') })
  const local = fileURLToPath(import.meta.resolve('gitlab-ci-local/src/index.js'))
  const [accepted, refused] = await Promise.all(
    [cwd, wrong].map(at => bash(`git init -q -b main && node "${local}" --list-json`, {}, at)),
  )
  expect([accepted!.code, accepted!.log]).toEqual([0, expect.stringContaining('json schema validated')])
  expect([refused!.code, refused!.log]).toEqual([1, expect.stringContaining('whenn')])
  const { variables, default: usual, ...jobs } = parse(example('gitlab.yml'))
  const env = {
    ...programs(cwd, { npm: '[ "$*" = "install --no-audit --no-fund --no-save rethread" ]' }),
    ...variables,
    CI_PIPELINE_ID: '12',
  }
  const run = (job: string) => {
    // each of them is the database of the test
    const own = Object.fromEntries(Object.keys(jobs[job].variables ?? {}).map(name => [name, db.url]))
    return bash([...usual.before_script, ...jobs[job].script].join('\n'), { ...env, ...own }, cwd)
  }
  expect([(await run('plan')).code, await db.hasSize()]).toEqual([0, false])
  expect(jobs.plan.artifacts.paths.filter((path: string) => !existsSync(join(cwd, path)))).toEqual([])
  expect([(await run('migrate')).code, await db.hasSize()]).toEqual([0, true])
  expect((await db.sql`select reason from rethread.runs`)[0]).toEqual({ reason: 'pipeline 12' })
})

test('the deploy on GitHub finds the plan of the pull request, however it was merged', async () => {
  const { jobs } = parse(example('github_deploy.yml'))
  const step = jobs.deploy.steps.find((s: { run?: string }) => s.run)
  const cwd = folder({ 'artifact.json': '{}' })
  const env = {
    ...programs(cwd, {
      gh: `echo "$*" >> asked
        case "$1 $2" in
          "api repos/o/r/commits/abc/pulls") echo head1 ;;
          "run list") echo 4711 ;;
          "run download") mkdir -p reviewed && cp artifact.json reviewed/plan.json ;;
          *) exit 1 ;;
        esac`,
    }),
    GITHUB_REPOSITORY: 'o/r',
    GITHUB_SHA: 'abc',
  }
  expect(await bash(step.run, env, cwd)).toEqual({ code: 0, log: '' })
  expect(readFileSync(join(cwd, 'asked'), 'utf8').split('\n')).toEqual([
    'api repos/o/r/commits/abc/pulls --jq .[0].head.sha',
    'run list --workflow rethread-plan.yml --commit head1 --limit 1 --json databaseId --jq .[0].databaseId',
    'run download 4711 --name rethread-plan --dir reviewed',
    '',
  ])
  expect(existsSync(join(cwd, 'reviewed/plan.json'))).toBe(true)
  // what the other workflow uploads is what this one looks for
  const upload = parse(example('github_pull_request.yml')).jobs.plan.steps.find((s: { uses?: string }) =>
    s.uses?.startsWith('actions/upload-artifact@'),
  )
  expect([upload.with.name, upload.with.path]).toEqual([
    'rethread-plan',
    '$' + '{{ steps.plan.outputs.plan-file }}',
  ])
})

describe('kubernetes.yaml', () => {
  const job = parse(example('kubernetes.yaml'))

  test('is a Job that Kubernetes accepts', () => {
    new Job(job).validate()
    expect(() => new Job({ ...job, spec: { ...job.spec, backoffLimit: 'three' } }).validate()).toThrow()
  })

  test('its container applies the plan that is mounted', async () => {
    await using db = await notes()
    const cwd = join(repository(), 'db')
    const env = { RETHREAD_DATABASE_URL: db.url }
    const program = `node ${join(root, 'dist/cli/main.js')}`
    expect((await bash(`${program} plan --out plan.json`, env, cwd)).code).toBe(0)
    const [{ args, volumeMounts }] = job.spec.template.spec.containers
    expect(volumeMounts[0].mountPath).toBe('/plan')
    const words = args.map((word: string) => `'${word.replace('/plan/', './')}'`)
    const ran = await bash(`${program} ${words.join(' ')}`, env, cwd)
    expect([ran.code, await db.hasSize()]).toEqual([0, true])
  })
})

test('the Dockerfile is one, and what it copies is there', () => {
  const text = readFileSync(join(root, 'Dockerfile'), 'utf8')
  expect(validate(text).map(fault => fault.message)).toEqual([])
  expect(validate(text.replace('ENTRYPOINT', 'ENTRYPONT'))).not.toEqual([])
  const made = /^COPY (?:--from=build )?(.+) \S+$/gm
  const copied = [...text.matchAll(made)].flatMap(m => m[1]!.split(' ').map(p => p.replace(/^\/src\//, '')))
  expect(copied.filter(path => !existsSync(join(root, path)))).toEqual([])
  const [, program] = /^ENTRYPOINT \["node", "\/opt\/rethread\/(.+)"\]$/m.exec(text)!
  expect(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).bin.rethread).toBe(program)
})
