_tautulli_import_completion() {
    local IFS=$'
'
    COMPREPLY=( $( env COMP_WORDS="${COMP_WORDS[*]}" \
                   COMP_CWORD=$COMP_CWORD \
                   _TAUTULLI_IMPORT_COMPLETE=complete_bash $1 ) )
    return 0
}

complete -o default -F _tautulli_import_completion tautulli-import
