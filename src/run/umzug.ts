/** The runner of ordered lists, in a file of its own so that it is loaded only when something is to run. */
export { Umzug } from 'umzug'
