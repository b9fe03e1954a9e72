# bash completion for sluicectl. Verbs and options are read from its own --help, so they cannot go out of date.

_sluicectl_words() {
    local line in_verbs=0
    "$@" --help 2>/dev/null | while IFS= read -r line; do
        case $line in
        Subcommands:*) in_verbs=1 ;;
        [![:space:]]*) in_verbs=0 ;;
        *)
            if [[ $line =~ ^\ \ (-[^\ ]+) ]]; then
                printf '%s\n' "${BASH_REMATCH[1]//,/$'\n'}"
            elif ((in_verbs)) && [[ $line =~ ^\ \ ([a-z][a-z-]*) ]]; then
                printf '%s\n' "${BASH_REMATCH[1]}"
            fi
            ;;
        esac
    done
}

_sluicectl() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} verb='' word i
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
        -o | --output | --control-socket | --pin-path) ((i++)) ;;
        -*) ;;
        *)
            verb=$word
            break
            ;;
        esac
    done
    case $previous in
    -o | --output)
        mapfile -t COMPREPLY < <(compgen -W 'text json' -- "$current")
        return
        ;;
    esac
    if [[ -z $verb || $current == -* ]]; then
        # shellcheck disable=SC2086  # no verb, no word
        mapfile -t COMPREPLY < <(compgen -W "$(_sluicectl_words "${COMP_WORDS[0]}" $verb)" -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    fi
}

complete -o filenames -F _sluicectl sluicectl
