# shellcheck shell=bash
# futaie.bash - completion of futaie's command line in bash; what a word may become, `futaie complete` says

_futaie() {
    local line=${COMP_LINE:0:COMP_POINT} own=${COMP_WORDS[COMP_CWORD]} word words candidates candidate head
    # Split at blanks alone: bash's own words also end at "=" and the like, and only the last of them is replaced.
    read -ra words <<<"$line"
    [[ $line == *[[:blank:]] ]] && words+=("")
    word=${words[-1]}
    [[ $own == [=:] ]] && own=""
    head=${word%"$own"}
    head=${head%@} # which readline counts to the word, though bash does not
    mapfile -t candidates < <("${words[0]}" complete "${words[@]:1}" 2>/dev/null)
    COMPREPLY=()
    for candidate in "${candidates[@]}"; do
        case $candidate in
        :files) compopt -o filenames && mapfile -t COMPREPLY < <(compgen -f -- "$own") ;;
        :directories) compopt -o filenames && mapfile -t COMPREPLY < <(compgen -d -- "$own") ;;
        *)
            candidate=${candidate%%$'\t'*}
            COMPREPLY+=("${candidate#"$head"}")
            ;;
        esac
    done
}

complete -F _futaie futaie
