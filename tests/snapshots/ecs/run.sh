# shellcheck shell=bash disable=SC2034
# Made by `cuttlefish render`.
# What apply and remove know of the run.

run='shapes'
owner_tag='cuttlefish:owner'
owner='0wner'
cluster='neurons'
table='cuttlefish'
dynamodb_endpoint=''
log_group='/cuttlefish'
trainer='cf_shapes_trainer'
export AWS_REGION='eu-west-1'
services=('cf_shapes_trainer' 'cf_shapes_synapse' 'cf_shapes_unit_hidden-1' 'cf_shapes_unit_shape')

# Answers are for these scripts, not for a pager.
export AWS_PAGER=
# ECS takes only so many requests a second, and a new table only so many bytes.
export AWS_RETRY_MODE=standard AWS_MAX_ATTEMPTS=10

die() {
    printf '%s: %s\n' "$(basename "$0")" "$1" >&2
    exit 1
}

command -v aws >/dev/null || die 'the AWS CLI is missing (version 2)'
[[ $(aws --version 2>&1) != aws-cli/1.* ]] ||
    die 'the AWS CLI has version 1, which encodes binary values twice (install version 2)'

# The AWS CLI of before 2.13 knows no variable for the endpoint.
dynamodb() {
    aws dynamodb ${dynamodb_endpoint:+--endpoint-url "$dynamodb_endpoint"} "$@"
}

# Exit code of status_of for a service of another run.
foreign=3

# Prints the status of a service, and fails where that is another run's or not known. (In a substitution
# `set -e` does not hold.)
status_of() {
    local found status found_owner
    found=$(aws ecs describe-services --cluster "$cluster" --services "$1" --include TAGS \
        --query "services[0].[status, tags[?key=='$owner_tag'].value | [0]]" --output text) || exit 1
    read -r status found_owner <<<"$found"
    if [[ $status == ACTIVE || $status == DRAINING ]] && [[ $found_owner != "$owner" ]]; then
        echo "$(basename "$0"): service $1 in cluster $cluster belongs to another run $run (render this one with \`--set name=...\`)" >&2
        exit $foreign
    fi
    echo "$status"
}

# Prints the revisions of a task definition that can be started.
definitions_of() {
    aws ecs list-task-definitions --family-prefix "$1" --status ACTIVE \
        --query 'taskDefinitionArns[]' --output text
}
