#!/usr/bin/env node
import { setFlagsFromString } from 'node:v8'
import { cli } from './program.js'

// a small nursery: a long backfill makes only short-lived objects, and memory stays low
// whatever the table's size
setFlagsFromString('--semi-space-growth-factor=1')
// PostgreSQL's parser as it is first compiled: to compile it a second time, and better, takes half a second
// of both cores, for which the process would wait at its end, and not even a thousand files gain by it
setFlagsFromString('--liftoff-only')

process.exitCode = await cli(process.argv.slice(2), process)
// All is said and closed. Should something forgotten keep the process alive, a deploy must not hang on it; by
// then any pipe has taken what was written.
setTimeout(() => process.exit(), 10_000).unref()
